"""The figures behind the charts, and the upload of more."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, JsonResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from analyzer.forms import UsageUploadForm
from analyzer.models.usage import Metric
from analyzer.permissions import may
from analyzer.services.sizing import chart_with_size
from analyzer.services.usage import MAX_CSV_BYTES, usage_upload
from analyzer.views.answers import saved
from analyzer.views.machines import machine_or_404, vm_usage
from personas.models import Role


@login_required
def vm_usage_series(request, pk, metric):
    vm = machine_or_404(request, pk)
    if metric not in Metric.values:
        raise Http404
    return JsonResponse(chart_with_size(vm, metric))


@login_required
@require_POST
def vm_usage_upload(request, pk):
    vm = machine_or_404(request, pk)
    if not may(request.user, vm.department, Role.OPERATOR):
        raise PermissionDenied
    form = UsageUploadForm(request.POST, request.FILES)
    if form.is_valid():
        content = form.cleaned_data["file"].read(MAX_CSV_BYTES + 1)
        stored = saved(request, form, lambda: usage_upload(vm=vm, content=content, by=request.user))
        if stored:
            told = ", ".join(f"{count} × {metric}" for metric, count in stored.items())
            messages.success(request, f"Stored {told}.")
            return redirect("analyzer:vm_usage", pk=vm.pk)
    return vm_usage(request, pk=pk, form=form)
