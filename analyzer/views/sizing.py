"""How a department sizes its machines."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse

from analyzer.forms import SizingSettingsForm
from analyzer.models import SizingSettings
from analyzer.permissions import may
from analyzer.services.sizing_settings import sizing_settings_set
from analyzer.views.answers import saved
from personas.models import Department, Role


@login_required
def sizing_settings(request, pk):
    department = get_object_or_404(Department.objects.visible_to(request.user), pk=pk)
    if not may(request.user, department, Role.ADMIN):
        raise PermissionDenied
    row = SizingSettings.objects.filter(department=department).first()
    form = SizingSettingsForm(request.POST or None, instance=row)
    by = request.user
    valid = request.method == "POST" and form.is_valid()
    if valid and saved(
        request, form, lambda: sizing_settings_set(department=department, by=by, **form.cleaned_data)
    ):
        messages.success(request, f"Machines of {department} are sized by this from now on.")
        return redirect("analyzer:sizing_settings", pk=pk)
    context = {"form": form, "department": department, "cancel_url": reverse("analyzer:vm_list")}
    return render(request, "analyzer/sizing_settings.html", context)
