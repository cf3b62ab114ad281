"""The machines of a wave, its windows, its report."""

import json
from functools import partial

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods

from migrations_engine.forms import MemberForm, MembersForm, WindowForm
from migrations_engine.models import WaveMember, WaveWindow
from migrations_engine.services import wave_board, wave_members, waves
from migrations_engine.views.refusals import may_operate, refusals_as_messages, require_operator
from migrations_engine.views.waves import operable_wave, saved, tabs, visible_wave
from personas.domain.yaml_text import dump_yaml


@login_required
@require_http_methods(["GET", "POST"])
def wave_members_page(request, pk):
    wave = operable_wave(request, pk)
    form = MembersForm(request.POST or None, request.FILES or None, wave=wave, by=request.user)
    form.fields["rule"].initial = wave.rule
    matching = None
    if request.method == "POST" and form.is_valid():
        if request.POST.get("action") == "look":
            text = form.cleaned_data["rule"]
            look = {"department": wave.department, "by": request.user}
            matching = saved(form, lambda: wave_members.machines_matching(text, **look))
        else:
            count = saved(form, lambda: _added(wave, form.cleaned_data, request.user))
            if count is not None:
                messages.success(request, f"{count} machine{'' if count == 1 else 's'} came in.")
                return redirect("migrations_engine:wave_members", pk=wave.pk)
    context = {
        "wave": wave,
        "form": form,
        "matching": matching,
        "members": wave_board.board_rows(wave),
        "tabs": tabs(wave, "machines"),
        "may_edit": wave.state in wave_members.OPEN,
    }
    status = 400 if form.is_bound and form.errors else 200
    return render(request, "migrations_engine/wave_members.html", context, status=status)


def _added(wave, cleaned, by) -> int:
    count = 0
    if cleaned["rule"].strip():
        count += wave_members.members_add_by_rule(wave=wave, rule=cleaned["rule"], by=by)
    if cleaned["file"]:
        count += wave_members.members_add_by_csv(wave=wave, content=cleaned["file"].read(), by=by)
    if cleaned["vms"]:
        count += wave_members.members_add(wave=wave, vms=list(cleaned["vms"]), by=by)
    return count


def _member(request, pk) -> WaveMember:
    rows = WaveMember.objects.visible_to(request.user).select_related("wave__department", "vm", "persona")
    member = get_object_or_404(rows, pk=pk)
    require_operator(request.user, member.wave.department)
    return member


@login_required
@require_http_methods(["GET", "POST"])
def member_edit(request, pk):
    member = _member(request, pk)
    first = {
        "persona": member.persona_id,
        "order": member.order,
        "overrides": dump_yaml(member.overrides) if member.overrides else "",
    }
    form = MemberForm(request.POST or None, initial=first, wave=member.wave, by=request.user)
    back = reverse("migrations_engine:wave_members", args=[member.wave_id])
    if request.method == "POST" and form.is_valid():
        with refusals_as_messages(request):
            wave_members.member_update(member=member, by=request.user, **form.cleaned_data)
        return redirect(back)
    context = {
        "form": form,
        "title": f"{member.vm} in {member.wave}",
        "cancel_url": back,
        "submit_label": "Save",
    }
    status = 400 if request.method == "POST" else 200
    return render(request, "migrations_engine/wave_form.html", context, status=status)


@login_required
@require_http_methods(["GET", "POST"])
def member_remove(request, pk):
    member = _member(request, pk)
    back = reverse("migrations_engine:wave_members", args=[member.wave_id])
    if request.method == "POST":
        with refusals_as_messages(request):
            wave_members.member_remove(member=member, by=request.user)
        return redirect(back)
    context = {
        "question": f"Take {member.vm} out of {member.wave}?",
        "consequences": "The machine itself stays as it is.",
        "submit_label": "Take it out",
        "cancel_url": back,
    }
    return render(request, "migrations_engine/wave_act.html", context)


@login_required
@require_http_methods(["GET", "POST"])
def wave_windows(request, pk):
    wave = visible_wave(request, pk)
    operates = may_operate(request.user, wave.department)
    if request.method == "POST":
        require_operator(request.user, wave.department)
    form = WindowForm(request.POST or None)
    add = partial(waves.window_add, wave=wave, by=request.user)
    if request.method == "POST" and saved(form, lambda: add(**form.cleaned_data)):
        return redirect("migrations_engine:wave_windows", pk=wave.pk)
    context = {
        "wave": wave,
        "form": form if operates else None,
        "windows": list(wave.windows.all()),
        "tabs": tabs(wave, "windows"),
        "may_edit": operates,
    }
    status = 400 if form.is_bound and form.errors else 200
    return render(request, "migrations_engine/wave_windows.html", context, status=status)


@login_required
@require_http_methods(["GET", "POST"])
def window_remove(request, pk):
    window = get_object_or_404(
        WaveWindow.objects.visible_to(request.user).select_related("wave__department"), pk=pk
    )
    require_operator(request.user, window.wave.department)
    back = reverse("migrations_engine:wave_windows", args=[window.wave_id])
    if request.method == "POST":
        with refusals_as_messages(request):
            waves.window_remove(window=window, by=request.user)
        return redirect(back)
    context = {
        "question": f"Remove the window {window}?",
        "consequences": "Without any window the wave may start its machines at every hour.",
        "submit_label": "Remove",
        "danger": True,
        "cancel_url": back,
    }
    return render(request, "migrations_engine/wave_act.html", context)


@login_required
@require_GET
def wave_report(request, pk):
    wave = visible_wave(request, pk)
    context = {"wave": wave, "report": wave_board.report_of(wave), "tabs": tabs(wave, "report")}
    return render(request, "migrations_engine/wave_report.html", context)


@login_required
@require_GET
def wave_report_file(request, pk, file_format):
    wave = visible_wave(request, pk)
    if file_format == "csv":
        return attachment(
            wave_board.report_csv(wave_board.report_rows(wave)), "text/csv", f"wave-{wave.pk}.csv"
        )
    if file_format == "json":
        text = json.dumps(wave_board.report_of(wave), indent=2, ensure_ascii=False)
        return attachment(text, "application/json", f"wave-{wave.pk}.json")
    raise Http404


def attachment(text: str, content_type: str, name: str) -> HttpResponse:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return HttpResponse(text, content_type=f"{content_type}; charset=utf-8", headers=headers)
