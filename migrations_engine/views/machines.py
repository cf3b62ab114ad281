"""Migrated machines: what runs made, and what can be done with it."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import Http404
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods
from django_htmx.http import HttpResponseClientRefresh

from migrations_engine import pipeline
from migrations_engine.domain.states import RUN_AT_WORK
from migrations_engine.domain.verification import outcome, read_rows
from migrations_engine.filters import MigratedVMFilter
from migrations_engine.models import MigratedVM
from migrations_engine.services import migrated
from migrations_engine.services.power import POWER
from migrations_engine.views.refusals import may_operate, refusals_as_messages, require_operator
from migrations_engine.views.runs import PAGE_ROWS
from personas.errors import Refused


@login_required
@require_GET
def migratedvm_list(request):
    rows = MigratedVM.objects.visible_to(request.user).select_related(
        "run__persona", "run__target", "department"
    )
    asked = {"removed": "false", **request.GET.dict()}
    found = MigratedVMFilter(asked, queryset=rows, request=request)
    page = Paginator(found.qs, PAGE_ROWS).get_page(request.GET.get("page"))
    for row in page:
        row.verdict = outcome(read_rows(row.verification))
    return render(request, "migrations_engine/migratedvm_list.html", {"page_obj": page, "filter": found})


def visible_machine(request, pk) -> MigratedVM:
    rows = MigratedVM.objects.visible_to(request.user).select_related(
        "run__target", "run__vm", "run__persona", "department"
    )
    return get_object_or_404(rows, pk=pk)


@login_required
@require_GET
def migratedvm_detail(request, pk):
    row = migrated.migrated_vm_refresh(migrated_vm=visible_machine(request, pk))
    context = {
        "machine": row,
        "run": row.run,
        "verdict": outcome(read_rows(row.verification)),
        "verification": row.verification,
        "forwards": sorted(row.reference.get("forwards", {}).items()),
        "idle": row.run.state not in RUN_AT_WORK,
        "may_operate": may_operate(request.user, row.department) and row.removed_at is None,
        "tabs": tabs(row, "overview"),
    }
    return render(request, "migrations_engine/migratedvm_detail.html", context)


@login_required
@require_GET
def migratedvm_live(request, pk):
    """Its power while it is being switched; afterwards the page is loaded again, with its new buttons."""
    row = visible_machine(request, pk)
    if not row.is_switching:
        return HttpResponseClientRefresh()
    return render(request, "migrations_engine/_power.html", {"machine": row})


def tabs(row, current) -> list[dict]:
    pages = [("overview", "Overview", "migratedvm_detail"), ("console", "Console", "migratedvm_console")]
    return [
        {
            "label": label,
            "url": reverse(f"migrations_engine:{name}", args=[row.pk]),
            "current": key == current,
        }
        for key, label, name in pages
    ]


@login_required
@require_GET
def migratedvm_console(request, pk):
    row = visible_machine(request, pk)
    try:
        text = migrated.migrated_vm_console(migrated_vm=row)
    except Refused as error:
        text = error.message
    context = {"machine": row, "text": text, "tabs": tabs(row, "console")}
    name = "_console.html" if request.htmx else "migratedvm_console.html"
    return render(request, f"migrations_engine/{name}", context)


@login_required
@require_http_methods(["GET", "POST"])
def migratedvm_power(request, pk, want):
    row = visible_machine(request, pk)
    require_operator(request.user, row.department)
    if want not in POWER:
        raise Http404
    if request.method == "POST":
        with refusals_as_messages(request):
            pipeline.migrated_vm_power(migrated_vm=row, want=want, by=request.user)
            done = "is being switched on" if want == "on" else "is being shut down"
            messages.success(request, f"{row.name} {done}.")
        return redirect("migrations_engine:migratedvm_detail", pk=row.pk)
    context = {
        "machine": row,
        "want": want,
        "question": f"Switch {row.name} on?" if want == "on" else f"Shut {row.name} down?",
        "submit_label": "Switch on" if want == "on" else "Shut down",
        "danger": want == "off",
        "cancel_url": reverse("migrations_engine:migratedvm_detail", args=[row.pk]),
    }
    return render(request, "migrations_engine/migratedvm_power.html", context)


@login_required
@require_http_methods(["GET", "POST"])
def migratedvm_delete(request, pk):
    row = visible_machine(request, pk)
    require_operator(request.user, row.department)
    if request.method == "POST":
        with refusals_as_messages(request):
            migrated.migrated_vm_remove(migrated_vm=row, by=request.user)
            messages.success(request, f"{row.name} and its disk are removed from {row.run.target.name}.")
        return redirect("migrations_engine:migratedvm_detail", pk=row.pk)
    context = {
        "machine": row,
        "question": f"Remove {row.name}?",
        "submit_label": "Remove the machine",
        "danger": True,
        "cancel_url": reverse("migrations_engine:migratedvm_detail", args=[row.pk]),
    }
    return render(request, "migrations_engine/migratedvm_delete.html", context)
