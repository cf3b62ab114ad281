"""Other names for software, as administrators know them."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse

from analyzer.filters import SoftwareNameFilter
from analyzer.forms import SoftwareNameForm
from analyzer.models import SoftwareName
from analyzer.permissions import may
from analyzer.services.software_names import (
    software_name_create,
    software_name_delete,
    software_name_update,
)
from analyzer.views.answers import saved, told
from analyzer.views.lists import VisibleList
from personas.models import Department, Role


class SoftwareNameList(VisibleList):
    queryset = SoftwareName.objects.select_related("department").order_by("name")
    filterset_class = SoftwareNameFilter
    template_name = "analyzer/softwarename_list.html"

    def get_context_data(self, **context):
        user = self.request.user
        administered = set(Department.objects.administered_by(user).values_list("pk", flat=True))
        editable = administered | ({None} if user.is_superuser else set())
        return super().get_context_data(editable=editable, may_create=bool(editable), **context)


def software_name_or_403(request, pk) -> SoftwareName:
    row = get_object_or_404(SoftwareName.objects.visible_to(request.user), pk=pk)
    if not may(request.user, row.department, Role.ADMIN):
        raise PermissionDenied
    return row


@login_required
def software_name_form(request, pk=None):
    """Create without `pk`, else edit. `?name=` fills in what was clicked on a machine."""
    row = software_name_or_403(request, pk) if pk else None
    if row is None and not _may_create(request.user):
        raise PermissionDenied
    started = {"name": request.GET.get("name", "")[:120]} if row is None else {}
    form = SoftwareNameForm(request.POST or None, instance=row, user=request.user, initial=started)
    if request.method == "POST" and form.is_valid():
        kept = saved(request, form, lambda: _save(row, form.cleaned_data, request.user))
        if kept:
            messages.success(request, f"{kept}. Suggestions go by it from now on.")
            return redirect("analyzer:softwarename_list")
    context = {"form": form, "row": row, "cancel_url": reverse("analyzer:softwarename_list")}
    return render(request, "analyzer/softwarename_form.html", context)


def _may_create(user) -> bool:
    return user.is_superuser or Department.objects.administered_by(user).exists()


def _save(row: SoftwareName | None, values: dict, user) -> SoftwareName:
    if row:
        return software_name_update(row=row, by=user, **values)
    return software_name_create(by=user, **values)


@login_required
def software_name_remove(request, pk):
    row = software_name_or_403(request, pk)
    if request.method == "POST":
        told(request, lambda: software_name_delete(row=row, by=request.user), f"{row} was deleted.")
        return redirect("analyzer:softwarename_list")
    context = {
        "question": f"Delete {row}?",
        "submit_label": "Delete",
        "danger": True,
        "cancel_url": reverse("analyzer:softwarename_list"),
    }
    return render(request, "components/confirm_page.html", context)
