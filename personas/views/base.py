"""The pages that every row of a tenant has: list, detail, form, clone, delete, and what a service's refusal looks
like."""

from django.contrib import messages
from django.contrib.auth.mixins import LoginRequiredMixin
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.generic import DetailView, FormView, ListView, View
from django.views.generic.detail import SingleObjectMixin

from personas.errors import BadInput, InUse, Missing, NotAllowed, Refused, Stale
from personas.forms.rows import CloneForm
from personas.models import Department, Role
from personas.services.access import allows, require
from personas.services.rows import row_archive, row_delete, row_restore, used_by


class Page(LoginRequiredMixin):
    """Translates what services refuse: a role to 403, what is gone to 404. `entity` is the first word of the URL
    names."""

    model = None
    entity = ""
    app = "personas"

    def dispatch(self, request, *args, **kwargs):
        try:
            return super().dispatch(request, *args, **kwargs)
        except NotAllowed as error:
            raise PermissionDenied(error.message) from error
        except Missing as error:
            raise Http404(error.message) from error

    def get_queryset(self):
        """Scoped: Page stands before SingleObjectMixin in every page, whose own queryset is not."""
        return self.model.objects.visible_to(self.request.user)

    def url(self, page: str, row=None) -> str:
        return reverse(f"{self.app}:{self.entity}_{page}", kwargs={"pk": row.pk} if row else None)

    def words(self) -> str:
        return str(self.model._meta.verbose_name)

    def get_context_data(self, **context):
        return super().get_context_data(
            entity=self.entity, words=self.words(), may_create=self.may_create(), **context
        )

    def may_create(self) -> bool:
        user = self.request.user
        return user.is_superuser or Department.objects.administered_by(user).exists()

    def refuse_who_may_not_create(self) -> None:
        if self.request.user.is_authenticated and not self.may_create():
            raise PermissionDenied(f"Your role does not make a new {self.words()}.")


class ListPage(Page, ListView):
    """`filterset_class` searches, filters and sorts; `defaults` are filters that hold until the reader chooses."""

    filterset_class = None
    defaults: dict[str, str] = {}
    paginate_by = 25

    def rows(self):
        """What is searched, filtered and sorted: with every column that `filterset_class` sorts by."""
        return super().get_queryset()

    def get_queryset(self):
        data = {**self.defaults, **self.request.GET.dict()}
        self.filter = self.filterset_class(data, queryset=self.rows(), request=self.request)
        return self.filter.qs if self.filter.is_valid() else self.filter.queryset.none()

    def get_context_data(self, **context):
        return super().get_context_data(filter=self.filter, **context)


class DetailPage(Page, DetailView):
    context_object_name = "row"

    def get_context_data(self, **context):
        users, hidden = used_by(self.object, by=self.request.user)
        return super().get_context_data(
            may_write=self.may_write(), users=users, hidden_users=hidden, **context
        )

    def may_write(self) -> bool:
        return allows(by=self.request.user, department=self.object.department, role=Role.ADMIN)


class FormPage(Page, FormView):
    """A form whose valid content goes to `save(form)`, a service; what that refuses is told in the form, and everything
    typed stays."""

    def form_valid(self, form):
        try:
            row = self.save(form)
        except Stale:
            form.told_stale()
        except ValidationError as error:
            form.told_refused(error.message_dict if hasattr(error, "error_dict") else {"": error.messages})
        except BadInput as error:
            form.told_refused(error.errors)
        except (NotAllowed, Missing):
            raise
        except Refused as error:
            form.add_error(None, error.message)
        else:
            messages.success(self.request, self.success_message(row))
            return redirect(self.success_url_of(row))
        return self.form_invalid(form)

    def success_message(self, row) -> str:
        return f"Saved “{row}”."

    def success_url_of(self, row) -> str:
        return self.url("detail", row)


class AskPage(FormPage):
    """A form of no row yet, for those who may make one; its form knows who asks."""

    def dispatch(self, request, *args, **kwargs):
        self.refuse_who_may_not_create()
        return super().dispatch(request, *args, **kwargs)

    def get_form_kwargs(self):
        return {**super().get_form_kwargs(), "user": self.request.user}

    def get_context_data(self, **context):
        return super().get_context_data(cancel_url=self.url("list"), **context)


class CreatePage(AskPage):
    def get_form_kwargs(self):
        return {**super().get_form_kwargs(), "instance": self.model()}

    def get_context_data(self, **context):
        return super().get_context_data(heading=f"New {self.words()}", **context)


class EditPage(FormPage, SingleObjectMixin):
    def dispatch(self, request, *args, **kwargs):
        if request.user.is_authenticated:
            self.object = self.get_object()
            require_here(request.user, self.object)
        return super().dispatch(request, *args, **kwargs)

    def get_form_kwargs(self):
        return {**super().get_form_kwargs(), "user": self.request.user, "instance": self.get_object()}

    def get_context_data(self, **context):
        return super().get_context_data(
            heading=f"Edit {self.object}",
            cancel_url=self.url("detail", self.object),
            row=self.object,
            **context,
        )


class ClonePage(FormPage, SingleObjectMixin):
    form_class = CloneForm
    template_name = "personas/clone.html"

    def dispatch(self, request, *args, **kwargs):
        if request.user.is_authenticated:
            self.object = self.get_object()
        self.refuse_who_may_not_create()
        return super().dispatch(request, *args, **kwargs)

    def get_form_kwargs(self):
        return {**super().get_form_kwargs(), "row": self.object, "user": self.request.user}

    def get_context_data(self, **context):
        return super().get_context_data(
            heading=f"Clone {self.object}",
            cancel_url=self.url("detail", self.object),
            submit_label="Clone",
            **context,
        )


class ConfirmPage(Page, SingleObjectMixin, View):
    """Asks before something is destroyed; POST does it by `act()` and says so with `done`. What is in use can't be
    deleted: the page names the users instead of offering it."""

    question = "Delete “{row}”?"
    submit_label = "Delete"
    done = "Deleted “{row}”."
    danger = True
    tells_users = True
    archives = False  # it can be archived where it can't be deleted

    def dispatch(self, request, *args, **kwargs):
        if request.user.is_authenticated:
            self.object = self.get_object()
            self.check()
        return super().dispatch(request, *args, **kwargs)

    def check(self) -> None:
        require_here(self.request.user, self.object)

    def get(self, request, pk, refused: str = ""):
        users, hidden = used_by(self.object, by=request.user) if self.tells_users else ([], 0)
        context = {
            "question": self.question.format(row=self.object),
            "submit_label": self.submit_label,
            "cancel_url": self.url("detail", self.object),
            "danger": self.danger,
            "row": self.object,
            "users": users,
            "hidden_users": hidden,
            "blocked": bool(users or hidden),
            "archive_url": self.archive_url() if users or hidden else "",
            "refused": refused,
        }
        return render(request, "personas/confirm.html", context, status=409 if refused else 200)

    def archive_url(self) -> str:
        """Empty where that is no way out."""
        return self.url("archive", self.object) if self.archives and not self.object.archived_at else ""

    def post(self, request, pk):
        name = str(self.object)
        try:
            self.act()
        except InUse as error:
            return self.get(request, pk, refused=error.message)
        except (NotAllowed, Missing):
            raise
        except Refused as error:
            return self.get(request, pk, refused=error.message)
        messages.success(request, self.done.format(row=name))
        return redirect(self.after())

    def act(self) -> None:
        row_delete(row=self.object, by=self.request.user)

    def after(self) -> str:
        return self.url("list")


class ActPage(Page, SingleObjectMixin, View):
    """POST only: does one thing that can be undone, and goes back to the row."""

    http_method_names = ["post"]
    done = ""

    def post(self, request, pk):
        self.object = get_object_or_404(self.get_queryset(), pk=pk)
        try:
            self.act()
        except (NotAllowed, Missing):
            raise
        except Refused as error:
            messages.error(request, error.message)
        else:
            messages.success(request, self.done.format(row=self.object))
        return redirect(self.url("detail", self.object))


class ArchivePage(ActPage):
    done = "Archived “{row}”: it is offered nowhere now. Restore it at any time."

    def act(self):
        row_archive(row=self.object, by=self.request.user)


class RestorePage(ActPage):
    done = "Restored “{row}”."

    def act(self):
        row_restore(row=self.object, by=self.request.user)


def require_here(user, row) -> None:
    """Raises PermissionDenied, also outside of `Page.dispatch`."""
    department = row if isinstance(row, Department) else row.department
    try:
        require(by=user, department=department, role=Role.ADMIN)
    except NotAllowed as error:
        raise PermissionDenied(error.message) from error
