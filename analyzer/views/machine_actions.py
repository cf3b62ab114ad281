"""What is done to machines: scan one or many, tell what the source does not know, forget."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from analyzer.filters import MachineFilter
from analyzer.forms import MachineForm, TickedForm
from analyzer.models import VirtualMachine
from analyzer.models.scan import ScanState
from analyzer.models.source import INVENTORY
from analyzer.permissions import may
from analyzer.services.machines import vm_forget, vm_update
from analyzer.services.scans import scan_start
from analyzer.views.answers import saved, told
from analyzer.views.machines import machine_or_404
from personas.models import Role

STOP_POLLING = 286
MOST_AT_ONCE = 500  # scans of one press; the rest at the next


@login_required
@require_POST
def machines_scan(request):
    """Scans those ticked, or with `all` every one that the list's `query` matches."""
    rows = VirtualMachine.objects.visible_to(request.user).order_by("pk")
    query = QueryDict(request.POST.get("query", ""))
    if request.POST.get("all"):
        rows = MachineFilter(query, rows.with_overview(), request=request).qs
    else:
        form = TickedForm(request.POST)
        rows = rows.filter(pk__in=form.cleaned_data["vm"]) if form.is_valid() else rows.none()
    rows = rows.filter(missing_since__isnull=True).exclude(source__kind=INVENTORY)
    rows = rows.select_related("source").operable_by(request.user)[:MOST_AT_ONCE]
    scans = [scan_start(vm=vm, by=request.user) for vm in rows]
    if scans:
        messages.success(request, f"{len(scans)} machine{'s are' if len(scans) > 1 else ' is'} being scanned.")
    else:
        why = "tick machines that are not missing, whose disk is here, and that you may operate."
        messages.warning(request, f"Nothing to scan: {why}")
    return redirect(reverse("analyzer:vm_list") + (f"?{query.urlencode()}" if query else ""))


@login_required
@require_POST
def vm_scan(request, pk):
    vm = machine_or_404(request, pk)
    told(request, lambda: scan_start(vm=vm, by=request.user))
    return redirect("analyzer:vm_detail", pk=vm.pk)


@login_required
def vm_scan_progress(request, pk):
    """Polled: what the scan does; 286 when it has ended, with the page to be read again."""
    vm = machine_or_404(request, pk)
    scan = vm.scans.defer("facts").first()
    ended = scan is None or ScanState(scan.state).ended
    response = render(request, "analyzer/_scan_progress.html", {"vm": vm, "scan": scan, "ended": ended})
    response.status_code = STOP_POLLING if ended else 200
    if ended:
        response["HX-Refresh"] = "true"
    return response


@login_required
def vm_edit(request, pk):
    vm = machine_or_404(request, pk)
    if not may(request.user, vm.department, Role.OPERATOR):
        raise PermissionDenied
    form = MachineForm(request.POST or None, instance=vm)
    valid = request.method == "POST" and form.is_valid()
    if valid and saved(request, form, lambda: vm_update(vm=vm, by=request.user, **form.cleaned_data)):
        messages.success(request, f"{vm} was changed.")
        return redirect("analyzer:vm_detail", pk=vm.pk)
    context = {"form": form, "vm": vm, "cancel_url": vm.get_absolute_url()}
    return render(request, "analyzer/machine_form.html", context)


@login_required
def vm_delete(request, pk):
    vm = machine_or_404(request, pk)
    if not may(request.user, vm.department, Role.ADMIN):
        raise PermissionDenied
    if request.method == "POST" and told(request, lambda: vm_forget(vm=vm, by=request.user), f"{vm} was forgotten."):
        return redirect("analyzer:vm_list")
    context = {
        "question": f"Forget {vm}?",
        "vm": vm,
        "submit_label": "Forget",
        "danger": True,
        "cancel_url": vm.get_absolute_url(),
    }
    return render(request, "analyzer/machine_confirm_delete.html", context)
