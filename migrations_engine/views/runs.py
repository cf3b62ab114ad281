"""Runs: the list, the page that follows one live, cancel, retry, receipt."""

import json

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods
from django_htmx.http import HttpResponseStopPolling

from migrations_engine import pipeline
from migrations_engine.domain.concerns import Severity
from migrations_engine.domain.states import RunState
from migrations_engine.domain.terms import Mode
from migrations_engine.filters import RunFilter
from migrations_engine.models import MigrationRun
from migrations_engine.services.commitment import decisions
from migrations_engine.services.cutover import forecast_s, may_decide, may_switch_on
from migrations_engine.services.orphans import may_clean_up
from migrations_engine.services.progress import (
    run_elapsed_s,
    run_percent,
    script_outcomes,
    step_progress,
    with_progress,
)
from migrations_engine.services.receipt import receipt_of
from migrations_engine.services.runs import CANCELLABLE
from migrations_engine.services.support_bundle import support_bundle
from migrations_engine.views.refusals import may_operate, refusals_as_messages, require_operator
from personas.models import Department

PAGE_ROWS = 25
LOG_EVENTS = 300  # the newest; the whole log is in the API


@login_required
@require_GET
def run_list(request):
    rows = with_progress(
        MigrationRun.objects.visible_to(request.user).select_related("created_by", "department")
    )
    found = RunFilter(request.GET, queryset=rows, request=request)
    page = Paginator(found.qs, PAGE_ROWS).get_page(request.GET.get("page"))
    for run in page:
        run.percent, run.elapsed_s = run_percent(run), run_elapsed_s(run)
    may_start = Department.objects.operable_by(request.user).exists()
    context = {"page_obj": page, "filter": found, "may_start": may_start}
    return render(request, "migrations_engine/run_list.html", context)


def visible_run(request, pk) -> MigrationRun:
    rows = MigrationRun.objects.visible_to(request.user).select_related(
        "vm", "department", "created_by", "target"
    )
    return get_object_or_404(with_progress(rows), pk=pk)


@login_required
@require_GET
def run_detail(request, pk):
    run = visible_run(request, pk)
    plan = run.plan
    context = live_context(request, run) | {
        "plan": plan,
        "concern_groups": concern_groups(plan["concerns"]),
        "changes": plan["changes"],
        "view": request.GET.get("view", ""),
        "tabs": tabs(request, run),
        "tabs_label": "About this run",
        "operates": may_operate(request.user, run.department),
    }
    return render(request, "migrations_engine/run_detail.html", context)


def tabs(request, run) -> list[dict]:
    here, now = reverse("migrations_engine:run_detail", args=[run.pk]), request.GET.get("view", "")
    views = [
        ("Progress", "", None),
        ("Plan", "plan", len(run.plan["concerns"])),
        ("Settings", "settings", None),
    ]
    return [
        {
            "label": label,
            "url": f"{here}?view={view}" if view else here,
            "current": view == now,
            "count": count,
        }
        for label, view, count in views
    ]


@login_required
@require_GET
def run_live(request, pk):
    """The part of the page that changes; 286 at the end of the run stops the polling."""
    run = visible_run(request, pk)
    response = render(request, "migrations_engine/_run_live.html", live_context(request, run))
    return HttpResponseStopPolling(response.content) if run.has_ended else response


def live_context(request, run) -> dict:
    steps = [step_progress(step) for step in run.steps.all()]
    results = {step.name: step.result or {} for step in run.steps.all()}
    machine = getattr(run, "migrated_vm", None)
    operates = may_operate(request.user, run.department)
    failed = next((step for step in steps if step["state"] == "failed"), None)
    return {
        "run": run,
        "steps": steps,
        "percent": run_percent(run),
        "elapsed_s": run_elapsed_s(run),
        "log": log_text(run),
        "machine": machine,
        "verification": machine.verification if machine else [],
        "scripts": script_outcomes(run),
        "live": next((step["live"] for step in steps if step["live"]), None),
        "failed_step": failed,
        "sources": sources_of(results["analyze"] | results["migrate"] | results["post_script"]),
        "cutover": getattr(run, "cutover", None),
        "warm": getattr(run, "warm", None),
        "forecast_s": forecast_s(run.vm) if run.mode == Mode.CUTOVER and not run.has_ended else None,
        "may_decide": operates and may_decide(run),
        "may_switch_on": operates and may_switch_on(run),
        "may_cancel": operates and run.state in CANCELLABLE,
        "may_retry": operates and run.state == RunState.FAILED and failed is not None,
        "may_clean_up": operates and may_clean_up(run),
        "resources": run.resources.all(),
        "gives_up": run.state == RunState.FAILED,
        **{decision: operates and may for decision, may in decisions(run).items()},
    }


def sources_of(result: dict) -> list[dict[str, str]]:
    """[{"path", "name", "sha256"}] of the files that were read; [] before that. Older runs kept one sum, no path."""
    if "sources" in result:
        return [{**each, "name": each["path"].rsplit("/", 1)[-1]} for each in result["sources"]]
    return [{"path": "", "name": "", "sha256": result["source_sha256"]}] if "source_sha256" in result else []


def log_text(run) -> str:
    events = list(run.events.order_by("-id")[:LOG_EVENTS])
    return "\n".join(f"{e.at:%H:%M:%S}  {e.step or 'run':<11}  {e.text}" for e in reversed(events))


def concern_groups(concerns) -> list[dict]:
    """[{"severity", "concerns"}], the worst first, empty ones left out."""
    groups = [
        {"severity": severity.value, "concerns": [c for c in concerns if c["severity"] == severity]}
        for severity in Severity
    ]
    return [group for group in groups if group["concerns"]]


@login_required
@require_GET
def run_receipt(request, pk):
    run = visible_run(request, pk)
    text = json.dumps(receipt_of(run), indent=2, ensure_ascii=False)
    headers = {"Content-Disposition": f'attachment; filename="receipt-{run.pk}.json"'}
    return HttpResponse(text, content_type="application/json", headers=headers)


@login_required
@require_GET
def run_support(request, pk):
    """The support bundle: what an operator may hand to somebody else."""
    run = visible_run(request, pk)
    require_operator(request.user, run.department)
    headers = {"Content-Disposition": f'attachment; filename="support-{run.pk}.zip"'}
    return HttpResponse(support_bundle(run), content_type="application/zip", headers=headers)


@login_required
@require_http_methods(["GET", "POST"])
def run_cancel(request, pk):
    run = visible_run(request, pk)
    require_operator(request.user, run.department)
    if request.method == "POST":
        with refusals_as_messages(request):
            pipeline.run_cancel(run=run, by=request.user)
        return redirect("migrations_engine:run_detail", pk=run.pk)
    gives_up = run.state == RunState.FAILED
    context = {
        "run": run,
        "question": f"Give up the migration of {run.vm.name}?"
        if gives_up
        else f"Stop the migration of {run.vm.name}?",
        "submit_label": "Give up and remove" if gives_up else "Stop and remove",
        "danger": True,
        "cancel_url": reverse("migrations_engine:run_detail", args=[run.pk]),
    }
    return render(request, "migrations_engine/run_cancel.html", context)


@login_required
@require_http_methods(["GET", "POST"])
def run_retry(request, pk):
    run = visible_run(request, pk)
    require_operator(request.user, run.department)
    if request.method == "POST":
        with refusals_as_messages(request):
            pipeline.run_retry(run=run, by=request.user)
        return redirect("migrations_engine:run_detail", pk=run.pk)
    context = {
        "run": run,
        "question": f"Try the failed step of {run.vm.name} again?",
        "submit_label": "Try again",
        "blocked": run.state != RunState.FAILED,
        "cancel_url": reverse("migrations_engine:run_detail", args=[run.pk]),
    }
    return render(request, "migrations_engine/run_retry.html", context)
