"""The inventory, and one machine in tabs."""

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import Sum
from django.shortcuts import get_object_or_404, render
from django.urls import NoReverseMatch, reverse

from analyzer.domain.rhythm import Rhythm
from analyzer.domain.usage import Summary
from analyzer.filters import MachineFilter, PackageFilter, ServiceFilter
from analyzer.forms import AssignForm, UsageUploadForm
from analyzer.models import Scan, VirtualMachine
from analyzer.models.usage import Metric
from analyzer.permissions import may
from analyzer.services.candidates import personas_usable
from analyzer.services.neighbours import nearest_known
from analyzer.services.scan_changes import scan_before, scan_changes
from analyzer.services.scans import facts_of
from analyzer.services.sizing import sizes_shown
from analyzer.services.usage import usage_rhythms, usage_summary, utc
from analyzer.views.journal import journal_shown
from analyzer.views.lists import VisibleList
from personas.models import Department, Role

TABS = [
    ("Overview", "vm_detail"),
    ("Software", "vm_software"),
    ("Usage", "vm_usage"),
    ("Personas", "vm_personas"),
    ("Scans", "vm_scans"),
]


class MachineList(VisibleList):
    queryset = (
        VirtualMachine.objects.with_overview()
        .select_related("source")
        .prefetch_related("vm_personas__persona")
    )
    filterset_class = MachineFilter
    template_name = "analyzer/machine_list.html"

    def get_context_data(self, **context):
        operable = Department.objects.operable_by(self.request.user).exists()
        return super().get_context_data(may_operate=operable, **context)


def machine_or_404(request, pk) -> VirtualMachine:
    rows = (
        VirtualMachine.objects.visible_to(request.user).with_overview().select_related("source", "department")
    )
    return get_object_or_404(rows, pk=pk)


def page(request, vm: VirtualMachine, tab: str, template: str, **context):
    """One tab. What stands above the tabs is the same on each."""
    tabs = [_tab(label, reverse(f"analyzer:{name}", args=[vm.pk]), name == tab) for label, name in TABS]
    if runs := _runs_url(vm):
        tabs.append(_tab("Migrations", runs, False))
    context |= {
        "vm": vm,
        "tabs": tabs,
        "scan_now": Scan.objects.active().filter(vm=vm).first(),
        "may_operate": may(request.user, vm.department, Role.OPERATOR),
        "may_admin": may(request.user, vm.department, Role.ADMIN),
    }
    return render(request, template, context)


def _tab(label: str, url: str, current: bool) -> dict:
    return {"label": label, "url": url, "current": current, "count": None}


def _runs_url(vm: VirtualMachine) -> str:
    """Runs belong to the app above; it may not be there."""
    try:
        return f"{reverse('migrations_engine:run_list')}?vm={vm.pk}"
    except NoReverseMatch:
        return ""


@login_required
def vm_detail(request, pk):
    vm = machine_or_404(request, pk)
    scan = Scan.objects.readable().filter(vm=vm).first()
    disks = vm.disks.all()
    recommendation = vm.recommendations.select_related("persona").first()
    context = {
        "scan": scan,
        "changes": scan_changes(scan) if scan else [],
        "changes_since": scan_before(scan) if scan else None,
        "facts": facts_of(scan),
        "newest": vm.scans.defer("facts").first(),
        "disks": disks,
        "disk_bytes": disks.aggregate(total=Sum("virtual_size_bytes"))["total"],
        "recommendation": recommendation,
        "nearest": nearest_known(vm, by=request.user, persona=recommendation and recommendation.persona),
        "carried": vm.vm_personas.select_related("persona").order_by("use_case", "-priority"),
    }
    return page(request, vm, "vm_detail", "analyzer/machine_overview.html", **context)


@login_required
def vm_software(request, pk):
    vm = machine_or_404(request, pk)
    services_only = request.GET.get("kind") == "services"
    chosen = ServiceFilter if services_only else PackageFilter
    rows = vm.services.all() if services_only else vm.packages.all()
    narrowed = chosen(request.GET, rows, request=request)
    context = {
        "filter": narrowed,
        "page_obj": Paginator(narrowed.qs, 50).get_page(request.GET.get("page")),
        "services_only": services_only,
        "package_count": vm.packages.count(),
        "service_count": vm.services.count(),
    }
    return page(request, vm, "vm_software", "analyzer/machine_software.html", **context)


@login_required
def vm_usage(request, pk, form=None):
    vm = machine_or_404(request, pk)
    found = usage_summary(vm)
    metrics = [_metric(vm, metric, found.get(metric)) for metric in Metric if metric in found]
    form = form or UsageUploadForm()
    rhythms = usage_rhythms(vm) if metrics else {}
    context = {
        "journal": journal_shown(facts_of(Scan.objects.readable().filter(vm=vm).first())),
        "metrics": metrics,
        "form": form,
        "sizes": sizes_shown(vm) if metrics else [],
        "rhythms": [(Metric(name).label, told.words()) for name, told in rhythms.items() if told != Rhythm()],
    }
    return page(request, vm, "vm_usage", "analyzer/machine_usage.html", **context)


def _metric(vm: VirtualMachine, metric: Metric, summary: Summary) -> dict:
    label, _, unit = metric.label.rpartition(" (")
    return {
        "label": label,
        "unit": unit.removesuffix(")"),
        "url": reverse("analyzer:vm_usage_series", args=[vm.pk, metric]),
        "summary": summary,
        "first_at": utc(summary.first_s),
        "last_at": utc(summary.last_s),
    }


@login_required
def vm_personas(request, pk, form=None):
    vm = machine_or_404(request, pk)
    rows = vm.vm_personas.select_related("persona").order_by("use_case", "-priority", "persona__name")
    form = form or AssignForm(personas=personas_usable(vm))
    return page(request, vm, "vm_personas", "analyzer/machine_personas.html", rows=rows, form=form)


@login_required
def vm_scans(request, pk):
    vm = machine_or_404(request, pk)
    rows = Paginator(vm.scans.defer("facts").select_related("requested_by"), 25)
    return page(
        request,
        vm,
        "vm_scans",
        "analyzer/machine_scans.html",
        page_obj=rows.get_page(request.GET.get("page")),
    )
