"""What a person decides after the last step: it stays, it goes back, there is no way back any more."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from django.contrib.auth.decorators import login_required
from django.http import Http404
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from migrations_engine import pipeline
from migrations_engine.domain.terms import OnRollback
from migrations_engine.models import MigrationRun
from migrations_engine.services import commitment, orphans
from migrations_engine.services.cutover import ABORT, CHOICES, FORCE, ON_ANYWAY, RETRY
from migrations_engine.views.refusals import refusals_as_messages, require_operator
from migrations_engine.views.runs import visible_run


@dataclass(frozen=True)
class Decision:
    verb: Callable
    question: str
    consequences: str
    submit_label: str
    danger: bool = False


def _decide(request, pk, decision_for: Callable[[MigrationRun], Decision]):
    run = visible_run(request, pk)
    require_operator(request.user, run.department)
    decision = decision_for(run)
    if request.method == "POST":
        with refusals_as_messages(request):
            decision.verb(run=run, by=request.user)
        return redirect("migrations_engine:run_detail", pk=run.pk)
    context = {
        "run": run,
        "question": decision.question,
        "consequences": decision.consequences,
        "submit_label": decision.submit_label,
        "danger": decision.danger,
        "cancel_url": reverse("migrations_engine:run_detail", args=[run.pk]),
    }
    return render(request, "migrations_engine/run_decide.html", context)


@login_required
@require_http_methods(["GET", "POST"])
def run_confirm(request, pk):
    return _decide(request, pk, _confirm)


def _confirm(run):
    return Decision(
        commitment.run_confirm,
        f"Does {run.vm.name} stay where it is now?",
        f"The machine on {run.target.name} has taken over. Until the run is finalized it can still be rolled back.",
        "Confirm",
    )


@login_required
@require_http_methods(["GET", "POST"])
def run_rollback(request, pk):
    return _decide(request, pk, _rollback)


def _rollback(run):
    kept = run.on_rollback == OnRollback.KEEP
    fate = "is switched off and kept" if kept else "and its disk are removed"
    return Decision(
        pipeline.run_rollback,
        f"Discard the test migration of {run.vm.name}?" if run.is_test else f"Roll {run.vm.name} back?",
        f"The machine on {run.target.name} {fate}. {_source_then(run)}",
        "Discard" if run.is_test else "Roll back",
        danger=True,
    )


def _source_then(run) -> str:
    if run.is_cutover:
        return "The source is switched on again; it knows nothing of what the new machine wrote since."
    return "The source is as it was before the run."


@login_required
@require_http_methods(["GET", "POST"])
def run_decide(request, pk, choice):
    if choice not in CHOICES:
        raise Http404
    return _decide(request, pk, lambda run: _power(run, choice))


def _power(run, choice: str) -> Decision:
    name = run.vm.name
    question, consequences, label = {
        RETRY: (
            f"Ask {name} to shut down once more?",
            "Its guest is asked again and waited for as long as before.",
            "Ask once more",
        ),
        FORCE: (
            f"Switch {name} off as it is?",
            "As pulling the plug: what the guest has not written to its disk yet is lost. The copy is made of what is "
            "on the disk then.",
            "Switch it off",
        ),
        ABORT: (
            f"Leave {name} running?",
            "The run is cancelled and what it has made is removed. The source goes on.",
            "Leave it running",
        ),
        ON_ANYWAY: (
            f"Switch {name} on without an answer of {run.target.name}?",
            "Look there first: were the new machine on, two of a machine would run at once.",
            "It is off there, switch the source on",
        ),
    }[choice]
    return Decision(partial(pipeline.run_decide, choice=choice), question, consequences, label, choice != RETRY)


@login_required
@require_http_methods(["GET", "POST"])
def run_finalize(request, pk):
    return _decide(request, pk, _finalize)


@login_required
@require_http_methods(["GET", "POST"])
def run_clean_up(request, pk):
    return _decide(request, pk, _clean_up)


def _clean_up(run):
    return Decision(
        orphans.run_clean_up,
        f"Remove what the run of {run.vm.name} left on {run.target.name}?",
        "Exactly what the run made is removed, a machine that was kept as well. The source is not touched.",
        "Clean up",
        danger=True,
    )


def _finalize(run):
    return Decision(
        commitment.run_finalize,
        f"Finalize the migration of {run.vm.name}?",
        "From then on there is no way back by this run. The source may be retired.",
        "Finalize",
    )
