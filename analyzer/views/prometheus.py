"""The Prometheus that knows the use of a source's machines."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from analyzer.forms import UsageProviderForm
from analyzer.models import UsageProvider
from analyzer.permissions import may
from analyzer.services.prometheus import usage_collect_now, usage_provider_remove, usage_provider_set
from analyzer.views.answers import saved, told
from analyzer.views.sources import source_or_404
from personas.models import Role


@login_required
def source_prometheus(request, pk):
    """Said here; `remove` in the form takes it away."""
    source = source_or_404(request, pk)
    if not may(request.user, source.department, Role.ADMIN):
        raise PermissionDenied
    provider, by = UsageProvider.objects.filter(source=source).first(), request.user
    if request.method == "POST" and "remove" in request.POST:
        told(request, lambda: usage_provider_remove(source=source, by=by), "It is not asked any more.")
        return redirect("analyzer:source_detail", pk=pk)
    form = UsageProviderForm(request.POST or None, instance=provider)
    valid = request.method == "POST" and form.is_valid()
    if valid and saved(request, form, lambda: usage_provider_set(source=source, by=by, **form.cleaned_data)):
        messages.success(request, "It is asked every quarter of an hour from now on.")
        return redirect("analyzer:source_detail", pk=pk)
    context = {"form": form, "source": source, "provider": provider}
    context["cancel_url"] = reverse("analyzer:source_detail", args=[pk])
    return render(request, "analyzer/source_prometheus.html", context)


@login_required
@require_POST
def source_prometheus_collect(request, pk):
    source = source_or_404(request, pk)

    def act():
        report = usage_collect_now(source=source, by=request.user)
        machines = "1 machine" if report["machines"] == 1 else f"{report['machines']} machines"
        messages.success(request, f"{report['values']} values of {machines} were stored.")

    told(request, act)
    return redirect("analyzer:source_detail", pk=pk)
