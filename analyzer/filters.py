"""How machines, scans and answers are searched, narrowed and sorted; the same by page and API."""

import django_filters as df
from django import forms
from django.db.models import Case, Exists, F, OuterRef, Q, When
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field

from analyzer.domain.recommend import QUIET_SECTIONS, TRADES
from analyzer.models import (
    Feedback,
    Fingerprint,
    Package,
    PersonaDraft,
    Recommendation,
    Scan,
    Service,
    SoftwareName,
    SourceEndpoint,
    UsageSeries,
    VirtualMachine,
    VMPersona,
)
from analyzer.models.fleet import DraftState
from analyzer.models.recommendation import RecommendationState, Verdict
from analyzer.models.scan import ScanState
from analyzer.models.usage import Metric
from personas.models import Department, Persona


def seen(model):
    """A queryset for a choice: the rows of the model that the reader may see."""
    return lambda request: model.objects.visible_to(request.user) if request else model.objects.none()


class MachineFilter(df.FilterSet):
    search = df.CharFilter(method="matching", label="Search", help_text="Name or host name.")
    os = df.CharFilter(
        method="of_os",
        label="System",
        help_text="As in `debian` or `debian 12`.",
        widget=forms.TextInput(attrs={"placeholder": "debian 12"}),
    )
    scan = df.ChoiceFilter(
        method="in_scan_state",
        label="Scan",
        choices=[("none", "Not scanned"), *ScanState.choices],
    )
    persona = df.ModelChoiceFilter(queryset=seen(Persona), method="carrying", label="Persona")
    package = df.CharFilter(
        method="having",
        label="Has software",
        help_text="A package or service, as in `nginx`.",
        widget=forms.TextInput(attrs={"placeholder": "nginx"}),
    )
    source = df.ModelChoiceFilter(queryset=seen(SourceEndpoint), label="Source")
    department = df.ModelChoiceFilter(queryset=seen(Department), label="Department")
    missing = df.BooleanFilter(field_name="missing_since", lookup_expr="isnull", exclude=True, label="Missing")
    ordering = df.OrderingFilter(
        fields=["name", "os_id", "scanned_at", "scan_state", "disk_bytes", "created_at"], label="Order"
    )

    class Meta:
        model = VirtualMachine
        fields: list = []

    def matching(self, rows, name, value: str):
        return rows.filter(Q(name__icontains=value) | Q(hostname__icontains=value))

    def of_os(self, rows, name, value):
        os_id, _, version = value.strip().lower().partition(" ")
        return rows.filter(os_id__startswith=os_id, os_version__startswith=version)

    def in_scan_state(self, rows, name, value):
        return rows.filter(scan_state__isnull=True) if value == "none" else rows.filter(scan_state=value)

    @extend_schema_field(OpenApiTypes.UUID)
    def carrying(self, rows, name, value):
        return rows.filter(Exists(VMPersona.objects.filter(vm=OuterRef("pk"), persona=value)))

    def having(self, rows, name, value):
        package = Package.objects.filter(vm=OuterRef("pk"), name__istartswith=value.strip())
        service = Service.objects.filter(vm=OuterRef("pk"), name__istartswith=value.strip())
        return rows.filter(Exists(package) | Exists(service))


class SourceFilter(df.FilterSet):
    search = df.CharFilter(method="matching", label="Search")
    department = df.ModelChoiceFilter(queryset=seen(Department), label="Department")
    ordering = df.OrderingFilter(fields=["name", "discovered_at", "machine_count"], label="Order")

    class Meta:
        model = SourceEndpoint
        fields: list = []

    def matching(self, rows, name, value):
        return rows.filter(Q(name__icontains=value) | Q(location__icontains=value))


class PackageFilter(df.FilterSet):
    search = df.CharFilter(field_name="name", lookup_expr="icontains", label="Search")
    manual = df.BooleanFilter(label="On purpose")
    ordering = df.OrderingFilter(fields=["name", "section"], label="Order")

    class Meta:
        model = Package
        fields: list = []

    def filter_queryset(self, queryset):
        """Unless asked otherwise: on purpose first, of these what has a trade first and libraries last."""
        rows = super().filter_queryset(queryset)
        if self.form.cleaned_data.get("ordering"):
            return rows
        telling = Case(When(section__in=TRADES, then=0), When(section__in=QUIET_SECTIONS, then=2), default=1)
        return rows.order_by(F("manual").desc(nulls_last=True), telling, "name", "pk")


class ServiceFilter(df.FilterSet):
    search = df.CharFilter(field_name="name", lookup_expr="icontains", label="Search")
    enabled = df.BooleanFilter(label="Starts with the machine")
    ordering = df.OrderingFilter(fields=["name", "enabled"], label="Order")

    class Meta:
        model = Service
        fields: list = []


class ScanFilter(df.FilterSet):
    vm = df.ModelChoiceFilter(queryset=seen(VirtualMachine))
    state = df.ChoiceFilter(choices=ScanState)
    ordering = df.OrderingFilter(fields=["created_at", "finished_at", "state"])

    class Meta:
        model = Scan
        fields: list = []


class RecommendationFilter(df.FilterSet):
    vm = df.ModelChoiceFilter(queryset=seen(VirtualMachine))
    persona = df.ModelChoiceFilter(queryset=seen(Persona))
    state = df.ChoiceFilter(choices=RecommendationState)
    ordering = df.OrderingFilter(fields=["created_at", "score"])

    class Meta:
        model = Recommendation
        fields: list = []


class FeedbackFilter(df.FilterSet):
    vm = df.ModelChoiceFilter(queryset=seen(VirtualMachine))
    verdict = df.ChoiceFilter(choices=Verdict)
    ordering = df.OrderingFilter(fields=["created_at"])

    class Meta:
        model = Feedback
        fields: list = []


class VMPersonaFilter(df.FilterSet):
    vm = df.ModelChoiceFilter(queryset=seen(VirtualMachine))
    persona = df.ModelChoiceFilter(queryset=seen(Persona))
    use_case = df.CharFilter()
    ordering = df.OrderingFilter(fields=["use_case", "priority"])

    class Meta:
        model = VMPersona
        fields: list = []


class UsageFilter(df.FilterSet):
    vm = df.ModelChoiceFilter(queryset=seen(VirtualMachine))
    metric = df.ChoiceFilter(choices=Metric)
    day = df.DateFromToRangeFilter()
    ordering = df.OrderingFilter(fields=["day", "metric"])

    class Meta:
        model = UsageSeries
        fields: list = []


class FingerprintFilter(df.FilterSet):
    search = df.CharFilter(field_name="vm__name", lookup_expr="icontains", label="Search", help_text="Name.")
    persona = df.ModelChoiceFilter(queryset=seen(Persona), label="Says")
    ordering = df.OrderingFilter(fields=[("vm__name", "name"), ("score", "score")], label="Order")

    class Meta:
        model = Fingerprint
        fields: list = []


class SoftwareNameFilter(df.FilterSet):
    search = df.CharFilter(method="matching", label="Search", help_text="Either name.")
    department = df.ModelChoiceFilter(queryset=seen(Department))
    ordering = df.OrderingFilter(fields=["name", "means"], label="Order")

    class Meta:
        model = SoftwareName
        fields: list = []

    def matching(self, rows, name, value):
        return rows.filter(Q(name__icontains=value) | Q(means__icontains=value))


class PersonaDraftFilter(df.FilterSet):
    state = df.ChoiceFilter(choices=DraftState, label="State")
    department = df.ModelChoiceFilter(queryset=seen(Department))
    ordering = df.OrderingFilter(fields=[("key", "kind"), ("member_count", "member_count")], label="Order")

    class Meta:
        model = PersonaDraft
        fields: list = []
