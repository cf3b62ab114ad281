"""Waves: the list, the board that follows one live, its machines, its steering."""

from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.paginator import Paginator
from django.http import Http404
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods
from django_htmx.http import HttpResponseStopPolling

from migrations_engine.domain.waves import WAVE_TRANSITIONS, MemberState, WaveState
from migrations_engine.filters import WaveFilter
from migrations_engine.forms import WaveForm
from migrations_engine.models import Wave, WavePolicy, WaveWindow
from migrations_engine.services import wave_board, waves
from migrations_engine.services.wave_dispatch import waits_for
from migrations_engine.services.wave_members import OPEN
from migrations_engine.views.refusals import (
    may_operate,
    refusals_as_messages,
    require_admin,
    require_operator,
)
from migrations_engine.views.runs import PAGE_ROWS
from personas.errors import BadInput, Refused
from personas.models import Department

BOARD_ROWS = 200
CALENDAR = timedelta(days=35)


@login_required
@require_GET
def wave_list(request):
    rows = Wave.objects.visible_to(request.user).select_related("department", "template", "persona")
    found = WaveFilter(request.GET, queryset=rows, request=request)
    page = Paginator(found.qs, PAGE_ROWS).get_page(request.GET.get("page"))
    for wave in page:
        wave.counts = wave_board.counts(wave)
    administered = Department.objects.administered_by(request.user)
    wanted = set(WavePolicy.objects.filter(four_eyes=True).values_list("department", flat=True))
    context = {
        "page_obj": page,
        "filter": found,
        "may_create": Department.objects.operable_by(request.user).exists(),
        "policies": [{"department": row, "four_eyes": row.pk in wanted} for row in administered],
    }
    return render(request, "migrations_engine/wave_list.html", context)


def visible_wave(request, pk) -> Wave:
    related = ("department", "template", "persona", "target", "after", "started_by", "approved_by")
    return get_object_or_404(Wave.objects.visible_to(request.user).select_related(*related), pk=pk)


def operable_wave(request, pk) -> Wave:
    wave = visible_wave(request, pk)
    require_operator(request.user, wave.department)
    return wave


def saved(form, call) -> Any:
    """What the service answers; None where form or service refused, and the form says why."""
    if not form.is_valid():
        return None
    try:
        return call()
    except BadInput as error:
        form.told_refused(error.errors)
    except ValidationError as error:
        form.told_refused(error.message_dict)
    except Refused as error:
        form.add_error(None, error.message)
    return None


@login_required
@require_http_methods(["GET", "POST"])
def wave_create(request):
    if not Department.objects.operable_by(request.user).exists():
        raise PermissionDenied("This needs the role operator.")
    form = WaveForm(request.POST or None, by=request.user)
    made = request.method == "POST" and saved(form, lambda: waves.wave_create(by=request.user, **form.cleaned_data))
    if made:
        return redirect("migrations_engine:wave_members", pk=made.pk)
    return _form(request, form, "New wave", reverse("migrations_engine:wave_list"))


@login_required
@require_http_methods(["GET", "POST"])
def wave_edit(request, pk):
    wave = operable_wave(request, pk)
    form = WaveForm(request.POST or None, by=request.user, instance=visible_wave(request, pk))
    change = partial(waves.wave_update, wave=wave, by=request.user)
    if request.method == "POST" and saved(form, lambda: change(**form.cleaned_data)):
        return redirect("migrations_engine:wave_detail", pk=wave.pk)
    return _form(request, form, wave.name, reverse("migrations_engine:wave_detail", args=[wave.pk]))


def _form(request, form, title, cancel_url):
    context = {"form": form, "title": title, "cancel_url": cancel_url, "submit_label": "Save"}
    status = 400 if request.method == "POST" else 200
    return render(request, "migrations_engine/wave_form.html", context, status=status)


@login_required
@require_http_methods(["GET", "POST"])
def wave_delete(request, pk):
    wave = operable_wave(request, pk)
    if request.method == "POST":
        with refusals_as_messages(request):
            waves.wave_delete(wave=wave, by=request.user)
            messages.success(request, f"{wave.name} is deleted.")
            return redirect("migrations_engine:wave_list")
        return redirect("migrations_engine:wave_detail", pk=pk)
    context = {
        "question": f"Delete the wave {wave.name}?",
        "consequences": "Its list of machines goes with it; the machines stay as they are.",
        "submit_label": "Delete",
        "danger": True,
        "blocked": wave.state != WaveState.DRAFT,
        "cancel_url": reverse("migrations_engine:wave_detail", args=[wave.pk]),
    }
    return render(request, "migrations_engine/wave_act.html", context)


@login_required
@require_GET
def wave_detail(request, pk):
    wave = visible_wave(request, pk)
    context = live_context(request, wave) | {
        "tabs": tabs(wave, "board"),
        "windows": list(wave.windows.all()),
    }
    return render(request, "migrations_engine/wave_detail.html", context)


def tabs(wave: Wave, current: str) -> list[dict]:
    pages = [("board", "Board", "wave_detail"), ("machines", "Machines", "wave_members")]
    pages += [("windows", "Windows", "wave_windows"), ("report", "Report", "wave_report")]
    return [
        {
            "label": label,
            "url": reverse(f"migrations_engine:{name}", args=[wave.pk]),
            "current": key == current,
        }
        for key, label, name in pages
    ]


@login_required
@require_GET
def wave_live(request, pk):
    """The part of the board that changes; 286 where nothing will change by itself stops the polling."""
    wave = visible_wave(request, pk)
    response = render(request, "migrations_engine/_wave_live.html", live_context(request, wave))
    return response if is_live(wave) else HttpResponseStopPolling(response.content)


def is_live(wave: Wave) -> bool:
    """Of a wave that starts nothing more, runs may still be at work."""
    running = wave.members.filter(state=MemberState.STARTED, run__finished_at__isnull=True)
    return wave.state == WaveState.RUNNING or running.exists()


def live_context(request, wave: Wave) -> dict:
    page = Paginator(wave_board.board_rows(wave), BOARD_ROWS).get_page(request.GET.get("page"))
    operates = may_operate(request.user, wave.department)
    return {
        "wave": wave,
        "page_obj": page,
        "rows": [wave_board.told(member) for member in page],
        "counts": wave_board.counts(wave),
        "waits_for": waits_for(wave, timezone.now()),
        "live": is_live(wave),
        "may_edit": operates and wave.state in OPEN,
        "acts": [act for act in ACTS.values() if operates and may_act(act, wave, request.user)],
    }


# --- steering --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Act:
    name: str
    label: str
    icon: str
    question: str
    consequences: str
    primary: bool = False
    danger: bool = False

    @property
    def verb(self):
        return getattr(waves, f"wave_{self.name}")


ACTS = {
    act.name: act
    for act in (
        Act("start", "Start", "player-play", "Start the wave {}?",
            "Its machines are migrated in their order, within its limits and windows.", primary=True),
        Act("approve", "Approve", "check", "Approve the wave {}?",
            "It starts its machines at once, within its limits and windows.", primary=True),
        Act("send_back", "Send back", "arrow-back-up", "Send the wave {} back?", "It becomes a draft again."),
        Act("pause", "Pause", "player-pause", "Pause the wave {}?", "Runs at work go on; nothing more is started."),
        Act("resume", "Resume", "player-play", "Resume the wave {}?",
            "Failures until now do not stop it again.", primary=True),
        Act("retry_failed", "Retry the failed", "refresh", "Try the failed machines of {} again?",
            "A failed run goes on at its failed step; what was refused, cancelled or rolled back gets a new run."),
        Act("cancel", "Cancel", "ban", "Cancel the wave {}?",
            "Nothing more is started. Runs at work go on to their end; each can be cancelled on its own page.",
            danger=True),
    )
}  # fmt: skip
LEADS_TO = {
    "start": WaveState.RUNNING, "approve": WaveState.RUNNING, "send_back": WaveState.DRAFT,
    "pause": WaveState.PAUSED, "resume": WaveState.RUNNING, "cancel": WaveState.CANCELLED,
}  # fmt: skip
FROM = {
    "start": {WaveState.DRAFT}, "approve": {WaveState.APPROVAL}, "send_back": {WaveState.APPROVAL},
    "resume": {WaveState.PAUSED, WaveState.STOPPED},
}  # fmt: skip


def may_act(act: Act, wave: Wave, user) -> bool:
    state = WaveState(wave.state)
    if act.name == "approve" and not waves.may_approve(wave, user):
        return False
    if act.name == "retry_failed":
        return state not in (WaveState.DRAFT, WaveState.APPROVAL, WaveState.CANCELLED) and (
            wave.members.filter(waves.AGAIN).exists()
        )
    return (state, LEADS_TO[act.name]) in WAVE_TRANSITIONS and state in FROM.get(act.name, {state})


@login_required
@require_http_methods(["GET", "POST"])
def wave_act(request, pk, verb):
    wave = operable_wave(request, pk)
    if verb not in ACTS:
        raise Http404
    act = ACTS[verb]
    if request.method == "POST":
        with refusals_as_messages(request):
            act.verb(wave=wave, by=request.user)
        return redirect("migrations_engine:wave_detail", pk=wave.pk)
    context = {
        "question": act.question.format(wave.name),
        "consequences": act.consequences,
        "submit_label": act.label,
        "danger": act.danger,
        "blocked": not may_act(act, wave, request.user),
        "cancel_url": reverse("migrations_engine:wave_detail", args=[wave.pk]),
    }
    return render(request, "migrations_engine/wave_act.html", context)


@login_required
@require_http_methods(["GET", "POST"])
def wave_policy(request, pk):
    """Whether a department wants four eyes."""
    department = get_object_or_404(Department.objects.visible_to(request.user), pk=pk)
    require_admin(request.user, department)
    wanted = not waves.four_eyes(department)
    if request.method == "POST":
        with refusals_as_messages(request):
            waves.policy_set(department=department, four_eyes=wanted, by=request.user)
        return redirect("migrations_engine:wave_list")
    context = {
        "question": f"{'Ask' if wanted else 'Stop asking'} for four eyes in {department.name}?",
        "consequences": "Every wave is then approved by somebody else than the one who started it."
        if wanted
        else "A wave then starts without a second person, unless it says otherwise itself.",
        "submit_label": "Ask for four eyes" if wanted else "Stop asking",
        "danger": not wanted,
        "cancel_url": reverse("migrations_engine:wave_list"),
    }
    return render(request, "migrations_engine/wave_act.html", context)


# --- calendar --------------------------------------------------------------------------------------------------------


@login_required
@require_GET
def wave_calendar(request):
    now = timezone.now()
    rows = WaveWindow.objects.visible_to(request.user).select_related("wave__department")
    rows = rows.exclude(wave__state__in=[WaveState.FINISHED, WaveState.CANCELLED])
    context = {"days": wave_board.calendar(rows, now, now + CALENDAR), "weeks": CALENDAR.days // 7}
    return render(request, "migrations_engine/wave_calendar.html", context)
