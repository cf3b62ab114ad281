"""A target that libvirt keeps: where it is, whether it answers, and its host key."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from migrations_engine.forms import HypervisorForm
from migrations_engine.models import Hypervisor, TargetEndpoint
from migrations_engine.services import hypervisors
from migrations_engine.views.refusals import refusals_as_messages, require_admin
from migrations_engine.views.targets import visible_target
from migrations_engine.views.waves import saved


def _administered(request, pk) -> TargetEndpoint:
    target = visible_target(request, pk)
    require_admin(request.user, target.department)
    return target


@login_required
@require_http_methods(["GET", "POST"])
def target_hypervisor(request, pk):
    target = _administered(request, pk)
    detail = reverse("migrations_engine:target_detail", args=[pk])
    if not target.is_libvirt:
        messages.error(request, f"{target} is no hypervisor that libvirt keeps.")
        return redirect(detail)
    row = Hypervisor.objects.filter(target=target).first()
    initial = {name: getattr(row, name) for name in ("address", "pool", "network")} if row else {}
    form = HypervisorForm(request.POST or None, initial=initial, has_secret=bool(row and row.credential))
    if request.method == "POST" and saved(form, lambda: _set(request, target, form)):
        messages.success(request, "Saved. Now check the connection.")
        return redirect(detail)
    context = {"form": form, "target": target, "cancel_url": detail}
    return render(request, "migrations_engine/target_hypervisor.html", context)


def _set(request, target, form) -> Hypervisor:
    return hypervisors.hypervisor_set(target=target, by=request.user, **form.cleaned_data)


@login_required
@require_POST
def target_check(request, pk):
    target = _administered(request, pk)
    with refusals_as_messages(request):
        found = hypervisors.target_check(target=target, by=request.user)
        if found["missing"]:
            messages.error(request, "It answers, and something is missing: " + " ".join(found["missing"]))
        else:
            messages.success(request, "It answers, and all that a run needs was tried and works.")
    return redirect("migrations_engine:target_detail", pk=pk)


@login_required
@require_POST
def target_confirm_key(request, pk):
    target = _administered(request, pk)
    with refusals_as_messages(request):
        seen = request.POST.get("fingerprint", "")
        hypervisors.host_key_confirm(target=target, fingerprint=seen, by=request.user)
        messages.success(request, "This key is trusted from now on. Check the connection again.")
    return redirect("migrations_engine:target_detail", pk=pk)
