"""Pages of departments and their members."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.shortcuts import get_object_or_404, redirect

from personas.domain.labels import grouped
from personas.errors import BadInput, Refused
from personas.filters import DepartmentFilter
from personas.forms.rows import DepartmentForm, MemberForm
from personas.models import Department, Role
from personas.services import departments
from personas.services.access import allows, require
from personas.views.base import ConfirmPage, CreatePage, DetailPage, EditPage, ListPage, Page


class Departments(Page):
    model, entity = Department, "department"

    def may_create(self):
        return self.request.user.is_superuser


class DepartmentList(Departments, ListPage):
    filterset_class = DepartmentFilter
    template_name = "personas/department_list.html"

    def get_queryset(self):
        return super().get_queryset().prefetch_related("memberships")


class DepartmentDetail(Departments, DetailPage):
    """POST makes a member, or changes the role of one."""

    template_name = "personas/department_detail.html"

    def may_write(self):
        return allows(by=self.request.user, department=self.object, role=Role.ADMIN)

    def get_context_data(self, **context):
        members = self.object.memberships.select_related("user").order_by("user__username")
        form = context.pop("form", None) or MemberForm()
        return super().get_context_data(
            members=members, form=form, groups=grouped(self.object.defaults), **context
        )

    def post(self, request, pk):
        self.object = self.get_object()
        require(by=request.user, department=self.object, role=Role.ADMIN)
        form = MemberForm(request.POST)
        if form.is_valid():
            try:
                member = departments.membership_set(
                    department=self.object, by=request.user, **form.cleaned_data
                )
            except BadInput as error:
                for field, told in error.errors.items():
                    form.add_error(field, told)
            except Refused as error:
                form.add_error(None, error.message)
            else:
                messages.success(
                    request, f"{member.user} is {member.get_role_display().lower()} of {self.object} now."
                )
                return redirect(self.url("detail", self.object))
        return self.render_to_response(self.get_context_data(form=form))


class DepartmentCreate(Departments, CreatePage):
    form_class = DepartmentForm
    template_name = "personas/part_form.html"

    def save(self, form):
        return departments.department_create(by=self.request.user, **form.values())


class DepartmentEdit(Departments, EditPage):
    form_class = DepartmentForm
    template_name = "personas/part_form.html"

    def save(self, form):
        version = form.cleaned_data["version"]
        return departments.department_update(
            department=self.object, by=self.request.user, expected=version, **form.values()
        )


class DepartmentDelete(Departments, ConfirmPage):
    def check(self):
        if not self.request.user.is_superuser:
            raise PermissionDenied("Only a superuser removes departments.")

    def act(self):
        departments.department_delete(department=self.object, by=self.request.user)


class MemberRemove(Departments, ConfirmPage):
    submit_label = "Remove"
    done = "Removed."
    tells_users = False

    def check(self):
        self.member = get_object_or_404(
            self.object.memberships.select_related("user"), user=self.kwargs["user"]
        )
        self.question = f"Remove {self.member.user} from {self.object}?"
        mine = self.member.user_id == self.request.user.pk
        if not mine and not allows(by=self.request.user, department=self.object, role=Role.ADMIN):
            raise PermissionDenied("Only an admin of the department removes others.")

    def get(self, request, pk, user=None, refused=""):
        return super().get(request, pk, refused)

    def post(self, request, pk, user):
        return super().post(request, pk)

    def act(self):
        user = self.member.user_id
        departments.membership_remove(department=self.object, user_id=user, by=self.request.user)

    def after(self):
        stays = Department.objects.visible_to(self.request.user).filter(pk=self.object.pk).exists()
        return self.url("detail", self.object) if stays else self.url("list")
