"""Sources: where machines come from."""

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Case, Count, F, When
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from analyzer.filters import SourceFilter
from analyzer.forms import SourceForm
from analyzer.models import SourceEndpoint, SshAccess, UsageProvider
from analyzer.permissions import may
from analyzer.services.discovery import source_discover_request
from analyzer.services.inventory_export import EXPORT_NAMES
from analyzer.services.sources import source_check, source_create, source_delete, source_update
from analyzer.services.ssh_access import takes_login
from analyzer.views.answers import saved, told
from analyzer.views.lists import VisibleList
from analyzer.views.machine_actions import STOP_POLLING
from personas.models import Department, Role


class SourceList(VisibleList):
    queryset = (
        SourceEndpoint.objects.annotate(machine_count=Count("machines"))
        .select_related("department")
        .order_by("name")
    )
    filterset_class = SourceFilter
    template_name = "analyzer/source_list.html"

    def get_context_data(self, **context):
        return super().get_context_data(may_create=_may_create(self.request.user), **context)


def _may_create(user) -> bool:
    return user.is_superuser or Department.objects.administered_by(user).exists()


def source_or_404(request, pk) -> SourceEndpoint:
    rows = SourceEndpoint.objects.visible_to(request.user).annotate(machine_count=Count("machines"))
    return get_object_or_404(rows, pk=pk)


def _admin_or_403(request, source) -> None:
    if not may(request.user, source.department, Role.ADMIN):
        raise PermissionDenied


@login_required
def source_detail(request, pk):
    source = source_or_404(request, pk)
    context = {
        "source": source,
        "machines": source.machines.with_overview().order_by("name")[:25],
        "may_operate": may(request.user, source.department, Role.OPERATOR),
        "may_admin": may(request.user, source.department, Role.ADMIN),
        "ssh": SshAccess.objects.filter(source=source).first(),
        "lacks_login": takes_login(source) and not SshAccess.objects.filter(source=source).exists(),
        "provider": UsageProvider.objects.filter(source=source).first(),
        **_doors(request, source),
    }
    return render(request, "analyzer/source_detail.html", context | {"exports": EXPORT_NAMES})


def _doors(request, source) -> dict:
    """Doors of running machines, a page of them; the ones that wait for a person first."""
    waiting = Case(When(pinned_key=F("offered_key"), then=1), default=0)
    rows = source.ssh_hosts.alias(settled=waiting).order_by("settled", "-is_jump", "host", "port")
    doors = Paginator(rows, 50).get_page(request.GET.get("doors"))
    return {"doors": doors, "to_confirm": [door for door in doors if door.state in ("new", "changed")]}


@login_required
def source_form(request, pk=None):
    """Create without `pk`, else edit."""
    source = source_or_404(request, pk) if pk else None
    if source:
        _admin_or_403(request, source)
    elif not _may_create(request.user):
        raise PermissionDenied
    form = SourceForm(request.POST or None, instance=source, user=request.user, roots=settings.IMAGE_ROOTS)
    if request.method == "POST" and form.is_valid():
        row = saved(request, form, lambda: _save(source, form.cleaned_data, request.user))
        if row:
            messages.success(
                request, f"{row} was saved." if source else f"{row} is there: now {_next_step(row)}."
            )
            unknown = takes_login(row) and not SshAccess.objects.filter(source=row).exists()
            return redirect("analyzer:source_ssh" if unknown else "analyzer:source_detail", pk=row.pk)
    cancel = reverse("analyzer:source_detail", args=[pk]) if pk else reverse("analyzer:source_list")
    return render(
        request, "analyzer/source_form.html", {"form": form, "source": source, "cancel_url": cancel}
    )


def _next_step(source: SourceEndpoint) -> str:
    if source.is_libvirt and takes_login(source):
        return "say how to log in to its machine"
    if source.is_ssh:
        return "say which machines, and how to log in to them"
    return "import a file into it" if source.is_inventory else "discover its machines"


def _save(source: SourceEndpoint | None, values: dict, user) -> SourceEndpoint:
    if source:
        return source_update(source=source, by=user, **values)
    return source_create(by=user, **values)


@login_required
def source_remove(request, pk):
    source = source_or_404(request, pk)
    _admin_or_403(request, source)
    if request.method == "POST":
        done = told(request, lambda: source_delete(source=source, by=request.user), f"{source} was deleted.")
        return redirect("analyzer:source_list") if done else redirect("analyzer:source_detail", pk=pk)
    context = {
        "question": f"Delete the source {source}?",
        "source": source,
        "submit_label": "Delete",
        "danger": True,
        "cancel_url": reverse("analyzer:source_detail", args=[pk]),
    }
    return render(request, "analyzer/source_confirm_delete.html", context)


@login_required
@require_POST
def source_discover(request, pk):
    source = source_or_404(request, pk)
    told(request, lambda: source_discover_request(source=source, by=request.user))
    return redirect("analyzer:source_detail", pk=pk)


@login_required
def source_progress(request, pk):
    """Polled while a discovery is under way; 286 and a fresh page when it has ended."""
    source = source_or_404(request, pk)
    ended = source.discovery_requested_at is None
    response = render(request, "analyzer/_source_progress.html", {"source": source})
    if ended:
        response.status_code = STOP_POLLING
        response["HX-Refresh"] = "true"
    return response


@login_required
@require_POST
def source_probe(request, pk):
    source = source_or_404(request, pk)

    def act():
        answer = source_check(source=source, by=request.user)
        said = ", ".join(f"{key} {value}" for key, value in answer.items())
        messages.success(request, f"{source} answers: {said}.")

    told(request, act)
    return redirect("analyzer:source_detail", pk=pk)
