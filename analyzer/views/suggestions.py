"""Answers to suggestions, the personas of a machine, and a persona drafted from it."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import NoReverseMatch, reverse
from django.views.decorators.http import require_POST

from analyzer.forms import AnswerForm, AssignForm, DismissForm, NoneFitsForm, PersonaDraftForm
from analyzer.models import Recommendation, VMPersona
from analyzer.permissions import may
from analyzer.services.candidates import personas_usable
from analyzer.services.machines import persona_create_from_vm, persona_from_vm
from analyzer.services.recommendations import (
    recommendation_accept,
    recommendation_choose_other,
    recommendation_dismiss,
    recommendation_none_fits,
    recommendation_refresh,
)
from analyzer.services.scans import facts_of, newest_readable
from analyzer.services.vm_personas import vm_persona_assign, vm_persona_unassign
from analyzer.views.answers import saved, told
from analyzer.views.machines import machine_or_404, vm_personas
from personas.errors import Refused
from personas.models import Role


def suggestion_or_404(request, pk) -> Recommendation:
    rows = Recommendation.objects.visible_to(request.user).select_related("vm", "persona")
    return get_object_or_404(rows, pk=pk)


def _operator_or_403(request, vm) -> None:
    if not may(request.user, vm.department, Role.OPERATOR):
        raise PermissionDenied


@login_required
@require_POST
def recommendation_accept_view(request, pk):
    suggestion = suggestion_or_404(request, pk)
    _operator_or_403(request, suggestion.vm)
    success = f"From now on {suggestion.vm} moves as {suggestion.persona}."
    told(request, lambda: recommendation_accept(recommendation=suggestion, by=request.user), success)
    return redirect("analyzer:vm_detail", pk=suggestion.vm_id)


@login_required
def recommendation_choose(request, pk):
    suggestion = suggestion_or_404(request, pk)
    _operator_or_403(request, suggestion.vm)
    usable = personas_usable(suggestion.vm).exclude(pk=suggestion.persona_id)
    return _answered(
        *(
            request,
            suggestion,
            AnswerForm(request.POST or None, personas=usable),
            recommendation_choose_other,
        ),
        question=f"Which persona is {suggestion.vm}?",
        label="Choose",
        done=lambda answer: f"From now on {suggestion.vm} moves as {answer['persona']}.",
    )


@login_required
def recommendation_dismiss_view(request, pk):
    suggestion = suggestion_or_404(request, pk)
    _operator_or_403(request, suggestion.vm)
    return _answered(
        *(request, suggestion, DismissForm(request.POST or None), recommendation_dismiss),
        question=f"Dismiss the suggestion for {suggestion.vm}?",
        label="Dismiss",
        done=lambda answer: "The suggestion was dismissed.",
    )


@login_required
def recommendation_none_fits_view(request, pk):
    suggestion = suggestion_or_404(request, pk)
    _operator_or_403(request, suggestion.vm)
    return _answered(
        *(request, suggestion, NoneFitsForm(request.POST or None), recommendation_none_fits),
        question=f"Is none of the personas for {suggestion.vm}?",
        label="None fits",
        done=lambda answer: "Noted. Machines like this one are no longer taken for one of the personas.",
    )


def _answered(request, suggestion, form, service, *, question: str, label: str, done):
    """Asks with `form`; what it holds goes to `service`, and `done(answer)` says so on the machine's page."""
    if request.method == "POST" and form.is_valid():
        answer = form.cleaned_data
        if saved(request, form, lambda: service(recommendation=suggestion, by=request.user, **answer)):
            messages.success(request, done(answer))
            return redirect("analyzer:vm_detail", pk=suggestion.vm_id)
    context = {
        "question": question,
        "form": form,
        "submit_label": label,
        "cancel_url": suggestion.vm.get_absolute_url(),
    }
    return render(request, "components/confirm_page.html", context)


@login_required
@require_POST
def vm_suggest(request, pk):
    """Asks again, because the personas have changed."""
    vm = machine_or_404(request, pk)

    def act():
        scan = newest_readable(vm)
        recommendation_refresh(scan=scan, facts=facts_of(scan), by=request.user)

    told(request, act, "The suggestion was made anew.")
    return redirect("analyzer:vm_detail", pk=vm.pk)


@login_required
@require_POST
def vm_persona_add(request, pk):
    vm = machine_or_404(request, pk)
    _operator_or_403(request, vm)
    form = AssignForm(request.POST, personas=personas_usable(vm))
    if form.is_valid() and saved(
        request, form, lambda: vm_persona_assign(vm=vm, by=request.user, **form.cleaned_data)
    ):
        messages.success(request, f"{vm} carries {form.cleaned_data['persona']} now.")
        return redirect("analyzer:vm_personas", pk=vm.pk)
    return vm_personas(request, pk=pk, form=form)


@login_required
def vm_persona_remove(request, pk):
    row = get_object_or_404(VMPersona.objects.visible_to(request.user).select_related("vm", "persona"), pk=pk)
    _operator_or_403(request, row.vm)
    back = reverse("analyzer:vm_personas", args=[row.vm_id])
    if request.method == "POST":
        told(
            request,
            lambda: vm_persona_unassign(vm_persona=row, by=request.user),
            f"{row.persona} was removed.",
        )
        return redirect(back)
    question = f"Take {row.persona} for “{row.use_case}” off {row.vm}?"
    context = {"question": question, "submit_label": "Remove", "danger": True, "cancel_url": back}
    return render(request, "components/confirm_page.html", context)


@login_required
def vm_persona_create(request, pk):
    """A persona drafted from this machine, to be mended and kept."""
    vm = machine_or_404(request, pk)
    if not may(request.user, vm.department, Role.ADMIN):
        raise PermissionDenied
    form = PersonaDraftForm(request.POST) if request.method == "POST" else _drafted(request, vm)
    if form is None:
        return redirect("analyzer:vm_detail", pk=vm.pk)
    if request.method == "POST" and form.is_valid():
        persona = saved(
            request, form, lambda: persona_create_from_vm(vm=vm, data=form.cleaned_data, by=request.user)
        )
        if persona:
            messages.success(request, f"{persona} was created. Look it over, then give it to {vm}.")
            return redirect(_persona_url(persona) or vm.get_absolute_url())
    context = {"form": form, "vm": vm, "cancel_url": vm.get_absolute_url(), "submit_label": "Create persona"}
    return render(request, "analyzer/persona_draft.html", context)


def _drafted(request, vm) -> PersonaDraftForm | None:
    try:
        draft = persona_from_vm(vm, facts_of(newest_readable(vm)))
    except Refused as error:
        messages.error(request, error.message)
        return None
    return PersonaDraftForm(initial=draft)


def _persona_url(persona) -> str:
    try:
        return reverse("personas:persona_detail", args=[persona.pk])
    except NoReverseMatch:
        return ""
