"""Targets: where machines go."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.paginator import Paginator
from django.db.models import Count
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods

from migrations_engine.filters import TargetFilter
from migrations_engine.forms import TargetForm
from migrations_engine.models import Hypervisor, MigratedVM, TargetEndpoint
from migrations_engine.services import targets
from migrations_engine.services.orphans import orphans
from migrations_engine.views.refusals import may_administer, refusals_as_messages, require_admin
from migrations_engine.views.runs import PAGE_ROWS
from personas.errors import Refused
from personas.models import Department


@login_required
@require_GET
def target_list(request):
    rows = (
        TargetEndpoint.objects.visible_to(request.user)
        .select_related("department")
        .annotate(run_count=Count("runs")).order_by("name")
    )
    found = TargetFilter(request.GET, queryset=rows, request=request)
    page = Paginator(found.qs, PAGE_ROWS).get_page(request.GET.get("page"))
    may_create = Department.objects.administered_by(request.user).exists()
    return render(
        request,
        "migrations_engine/target_list.html",
        {"page_obj": page, "filter": found, "may_create": may_create},
    )


def visible_target(request, pk) -> TargetEndpoint:
    return get_object_or_404(
        TargetEndpoint.objects.visible_to(request.user).select_related("department"), pk=pk
    )


@login_required
@require_GET
def target_detail(request, pk):
    target = visible_target(request, pk)
    machines = MigratedVM.objects.visible_to(request.user).filter(run__target=target, removed_at__isnull=True)
    context = {
        "target": target,
        "state": state_of(target),
        "hypervisor": Hypervisor.objects.filter(target=target).first(),
        "machines": machines.select_related("run")[:PAGE_ROWS],
        "machine_count": machines.count(),
        "may_administer": may_administer(request.user, target.department),
    }
    return render(request, "migrations_engine/target_detail.html", context)


@login_required
@require_GET
def target_orphans(request, pk):
    target = visible_target(request, pk)
    require_admin(request.user, target.department)
    try:
        found = orphans(target=target, by=request.user)
    except Refused as error:
        found = {"refused": error.message}
    return render(request, "migrations_engine/target_orphans.html", {"target": target, **found})


def state_of(target) -> dict:
    try:
        return targets.target_probe(target=target) | {"answers": True}
    except Refused as error:
        return {"answers": False, "detail": error.message}


@login_required
@require_http_methods(["GET", "POST"])
def target_create(request):
    if not Department.objects.administered_by(request.user).exists():
        raise PermissionDenied("This needs the role admin.")
    form = TargetForm(request.POST or None, by=request.user)
    if request.method == "POST" and form.is_valid():
        target = _saved(request, form, lambda: targets.target_create(**form.cleaned_data, by=request.user))
        if target is not None:
            page = "target_hypervisor" if target.is_libvirt else "target_detail"
            return redirect(f"migrations_engine:{page}", pk=target.pk)
    context = {"form": form, "submit_label": "Create", "cancel_url": reverse("migrations_engine:target_list")}
    return render(request, "migrations_engine/target_form.html", context)


@login_required
@require_http_methods(["GET", "POST"])
def target_edit(request, pk):
    target = visible_target(request, pk)
    require_admin(request.user, target.department)
    form = TargetForm(request.POST or None, instance=target, by=request.user)
    if request.method == "POST" and form.is_valid():
        row = TargetEndpoint.objects.get(
            pk=pk
        )  # as it is stored: the form has changed its own instance already
        name = form.cleaned_data["name"]
        if _saved(request, form, lambda: targets.target_update(target=row, name=name, by=request.user)):
            return redirect("migrations_engine:target_detail", pk=pk)
    detail = reverse("migrations_engine:target_detail", args=[pk])
    return render(
        request, "migrations_engine/target_form.html", {"form": form, "target": target, "cancel_url": detail}
    )


def _saved(request, form, save):
    """The row; None where the service found fault, which then stands beside the field."""
    with refusals_as_messages(request):
        try:
            target = save()
        except ValidationError as error:
            form.add_error(None, error)
            return None
        messages.success(request, f"The target {target.name} is saved.")
        return target
    return None


@login_required
@require_http_methods(["GET", "POST"])
def target_delete(request, pk):
    target = visible_target(request, pk)
    require_admin(request.user, target.department)
    detail = reverse("migrations_engine:target_detail", args=[pk])
    if request.method == "POST":
        with refusals_as_messages(request):
            targets.target_delete(target=target, by=request.user)
            messages.success(request, f"The target {target.name} is deleted.")
            return redirect("migrations_engine:target_list")
        return redirect(detail)
    context = {
        "question": f"Delete the target {target.name}?",
        "submit_label": "Delete",
        "danger": True,
        "cancel_url": detail,
    }
    return render(request, "migrations_engine/target_delete.html", context)
