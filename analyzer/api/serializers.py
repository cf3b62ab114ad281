"""The analyzer's rows as JSON. Writing goes through the services; a relation is a row that the writer sees."""

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from analyzer.domain.usage import STEPS_S, Summary
from analyzer.models import (
    Disk,
    Feedback,
    Nic,
    Package,
    Recommendation,
    Scan,
    Service,
    SourceEndpoint,
    SuggestionOutcome,
    UsageSeries,
    VirtualMachine,
    VMPersona,
)
from analyzer.models.usage import Metric
from analyzer.services.machines import vm_update
from analyzer.services.neighbours import nearest_known
from analyzer.services.sources import source_create, source_update
from analyzer.services.usage import MAX_VALUES, utc
from analyzer.services.vm_personas import vm_persona_assign
from personas.api.base import DepartmentField, ScopedRelatedField
from personas.models import Persona, Role


class SourceSerializer(serializers.ModelSerializer):
    department = DepartmentField(allow_null=True, default=None)
    machine_count = serializers.IntegerField(read_only=True, default=0)

    class Meta:
        model = SourceEndpoint
        fields = [
            "id", "department", "name", "kind", "location", "rescan", "machine_count", "discovery_requested_at",
            "discovered_at", "discovery_error", "discovery_report", "created_at", "updated_at",
        ]  # fmt: skip
        read_only_fields = ["discovery_requested_at", "discovered_at", "discovery_error", "discovery_report"]
        validators = []  # the service checks the whole row

    def create(self, validated_data):
        return source_create(by=self.context["request"].user, **validated_data)

    def update(self, instance, validated_data):
        asked = {
            name: validated_data[name] for name in ("name", "location", "rescan") if name in validated_data
        }
        return source_update(source=instance, by=self.context["request"].user, **asked)


class DiskSerializer(serializers.ModelSerializer):
    class Meta:
        model = Disk
        fields = ["index", "path", "format", "virtual_size_bytes", "allocated_bytes"]


class NicSerializer(serializers.ModelSerializer):
    class Meta:
        model = Nic
        fields = ["index", "mac", "network"]


class MachineSerializer(serializers.ModelSerializer):
    """`id` is the VMID."""

    scan_state = serializers.CharField(
        read_only=True, allow_null=True, help_text="Of the newest scan; null: none."
    )
    scanned_at = serializers.DateTimeField(read_only=True, allow_null=True)
    coverage_stars = serializers.IntegerField(read_only=True, allow_null=True)
    disk_bytes = serializers.IntegerField(read_only=True)
    suggested = serializers.CharField(
        read_only=True, allow_null=True, help_text="Name of the persona suggested."
    )

    class Meta:
        model = VirtualMachine
        fields = [
            "id", "department", "source", "external_id", "name", "hostname", "os_id", "os_version", "firmware",
            "power_state", "vcpus", "memory_mib", "tags", "missing_since", "scan_state", "scanned_at",
            "coverage_stars", "disk_bytes", "suggested", "created_at", "updated_at",
        ]  # fmt: skip
        read_only_fields = [name for name in fields if name not in ("vcpus", "memory_mib", "tags")]

    def update(self, instance, validated_data):
        changed = vm_update(vm=instance, by=self.context["request"].user, **validated_data)
        return type(instance).objects.with_overview().get(pk=changed.pk)


class MachineDetailSerializer(MachineSerializer):
    disks = DiskSerializer(many=True, read_only=True)
    nics = NicSerializer(many=True, read_only=True)

    class Meta(MachineSerializer.Meta):
        fields = [*MachineSerializer.Meta.fields, "disks", "nics"]


class ScanSerializer(serializers.ModelSerializer):
    class Meta:
        model = Scan
        fields = [
            "id", "vm", "state", "progress_percent", "attempt", "message", "coverage_stars",
            "created_at", "started_at", "finished_at",
        ]  # fmt: skip
        read_only_fields = fields


class ScanDetailSerializer(ScanSerializer):
    facts = serializers.JSONField(
        read_only=True, allow_null=True, help_text="What the disk says; see the docs."
    )

    class Meta(ScanSerializer.Meta):
        fields = [*ScanSerializer.Meta.fields, "facts"]
        read_only_fields = fields


class ScanChangeSerializer(serializers.Serializer):
    area = serializers.CharField()
    name = serializers.CharField()
    before = serializers.CharField(allow_blank=True, help_text="Empty: it is new.")
    after = serializers.CharField(allow_blank=True, help_text="Empty: it is gone.")
    text = serializers.CharField(help_text="In words, as in: nginx removed.")


class ScanChangesSerializer(serializers.Serializer):
    since = serializers.UUIDField(allow_null=True, help_text="The scan before; null for a first one.")
    changes = ScanChangeSerializer(many=True)


class PackageSerializer(serializers.ModelSerializer):
    class Meta:
        model = Package
        fields = ["name", "version", "manager", "manual", "section"]


class ServiceSerializer(serializers.ModelSerializer):
    class Meta:
        model = Service
        fields = ["name", "kind", "enabled"]


class RankedSerializer(serializers.Serializer):
    persona = serializers.UUIDField()
    name = serializers.CharField()
    score = serializers.FloatField(min_value=0, max_value=1)

    def get_fields(self):
        reasons = serializers.ListField(child=serializers.CharField())
        return {
            **super().get_fields(),
            "for": reasons,
            "against": serializers.ListField(child=serializers.CharField()),
        }


@extend_schema_field(RankedSerializer(many=True))
class RankingField(serializers.JSONField):
    """Best first; the second is the runner-up."""


class SuggestionOutcomeSerializer(serializers.ModelSerializer):
    """What became of it: one for each run."""

    class Meta:
        model = SuggestionOutcome
        fields = ["run_id", "persona", "kind", "ended_at"]
        read_only_fields = fields


class RecommendationSerializer(serializers.ModelSerializer):
    ranking = RankingField(read_only=True)
    coverage_missing = serializers.ListField(child=serializers.CharField(), read_only=True)
    outcomes = SuggestionOutcomeSerializer(many=True, read_only=True)

    class Meta:
        model = Recommendation
        fields = [
            "id",
            "vm",
            "scan",
            "persona",
            "score",
            "ranking",
            "reason",
            "no_fit",
            "state",
            "coverage_stars",
            "coverage_missing",
            "outcomes",
            "model_version",
            "created_at",
        ]
        read_only_fields = fields


class NearestSerializer(serializers.Serializer):
    vm = serializers.UUIDField()
    name = serializers.CharField()
    likeness = serializers.FloatField(min_value=0, max_value=1)


class RecommendationDetailSerializer(RecommendationSerializer):
    """`nearest`: of the machines that the reader sees and that carry the persona, the one most like this; or null."""

    nearest = serializers.SerializerMethodField()

    class Meta(RecommendationSerializer.Meta):
        fields = [*RecommendationSerializer.Meta.fields, "nearest"]
        read_only_fields = fields

    @extend_schema_field(NearestSerializer(allow_null=True))
    def get_nearest(self, recommendation):
        by = self.context["request"].user
        found = nearest_known(recommendation.vm, by=by, persona=recommendation.persona)
        return {"vm": found[0].pk, "name": found[0].name, "likeness": found[1]} if found else None


class AcceptSerializer(serializers.Serializer):
    use_case = serializers.CharField(max_length=80, default="default")


class ChooseSerializer(AcceptSerializer):
    persona = ScopedRelatedField(queryset=Persona.objects.all())
    reason = serializers.CharField(max_length=400, default="", allow_blank=True)


class DismissSerializer(serializers.Serializer):
    reason = serializers.CharField(max_length=400, default="", allow_blank=True)


class FeedbackSerializer(serializers.ModelSerializer):
    by = serializers.CharField(source="by.username", read_only=True, default=None, allow_null=True)

    class Meta:
        model = Feedback
        fields = ["id", "vm", "recommendation", "verdict", "persona", "reason", "by", "created_at"]
        read_only_fields = fields


class VMPersonaSerializer(serializers.ModelSerializer):
    vm = ScopedRelatedField(queryset=VirtualMachine.objects.all(), role=Role.OPERATOR)
    persona = ScopedRelatedField(queryset=Persona.objects.all())
    use_case = serializers.CharField(max_length=80, default="default")

    class Meta:
        model = VMPersona
        fields = ["id", "vm", "persona", "use_case", "priority"]
        validators = []  # assigning again is changing the priority

    def create(self, validated_data):
        return vm_persona_assign(by=self.context["request"].user, **validated_data)


class PrioritySerializer(serializers.ModelSerializer):
    class Meta:
        model = VMPersona
        fields = ["priority"]


class UsageSeriesSerializer(serializers.ModelSerializer):
    """One metric of one UTC day. Each value is kept within 0.05 % of what was told."""

    values = serializers.ListField(
        child=serializers.FloatField(allow_null=True),
        read_only=True,
        help_text="One a step; null: not measured.",
    )

    class Meta:
        model = UsageSeries
        fields = ["vm", "metric", "day", "step_s", "values"]
        read_only_fields = fields


class UsagePushSerializer(serializers.Serializer):
    vm = ScopedRelatedField(queryset=VirtualMachine.objects.all(), role=Role.OPERATOR)
    metric = serializers.ChoiceField(choices=Metric)
    start = serializers.DateTimeField(help_text="Of the first slot.")
    step_s = serializers.ChoiceField(choices=STEPS_S, default=300)
    values = serializers.ListField(
        child=serializers.FloatField(allow_null=True),
        min_length=1,
        max_length=MAX_VALUES,
        help_text="null: not measured.",
    )


class UsageStoredSerializer(serializers.Serializer):
    stored = serializers.DictField(child=serializers.IntegerField(), help_text="Metric → values stored.")


class RhythmSerializer(serializers.Serializer):
    """Autocorrelation by day and week, busy hours (UTC), bursts (P99 ÷ P90), idle share, trend in 30 days."""

    daily = serializers.FloatField(allow_null=True)
    weekly = serializers.FloatField(allow_null=True)
    busy_from = serializers.IntegerField(allow_null=True)
    busy_to = serializers.IntegerField(allow_null=True)
    weekend_share = serializers.FloatField(allow_null=True)
    burst = serializers.FloatField(allow_null=True)
    idle_share = serializers.FloatField(allow_null=True)
    trend_per_month = serializers.FloatField(allow_null=True)
    words = serializers.ListField(child=serializers.CharField())


class RhythmsSerializer(serializers.Serializer):
    """Metrics without a value are absent."""

    def get_fields(self):
        return {metric: RhythmSerializer(required=False) for metric in Metric.values}


class UsageSummarySerializer(serializers.Serializer):
    """Exact percentiles over time, linear interpolation between the nearest ranks. `coverage`: measured ÷ elapsed."""

    samples = serializers.IntegerField()
    coverage = serializers.FloatField()
    coverage_stars = serializers.IntegerField()
    first_at = serializers.DateTimeField()
    last_at = serializers.DateTimeField()
    mean = serializers.FloatField()
    p50 = serializers.FloatField()
    p95 = serializers.FloatField()
    p99 = serializers.FloatField()
    max = serializers.FloatField()


class UsageSummariesSerializer(serializers.Serializer):
    """Metrics without a value are absent."""

    def get_fields(self):
        return {metric: UsageSummarySerializer(required=False) for metric in Metric.values}


def summary_json(summary: Summary) -> dict:
    return {
        "samples": summary.samples,
        "coverage": summary.coverage,
        "coverage_stars": summary.stars,
        "first_at": utc(summary.first_s),
        "last_at": utc(summary.last_s),
        "mean": summary.mean,
        "p50": summary.p50,
        "p95": summary.p95,
        "p99": summary.p99,
        "max": summary.maximum,
    }


class ChartSerializer(serializers.Serializer):
    x = serializers.ListField(child=serializers.IntegerField(), help_text="Unix seconds.")
    series = serializers.ListField(
        child=serializers.DictField(), help_text="[{label, values}]; null is a gap."
    )
    lines = serializers.ListField(child=serializers.DictField(), help_text="[{label, value}]: percentiles.")


class ProbeSerializer(serializers.Serializer):
    answers = serializers.DictField(child=serializers.CharField())


class PersonaDraftSerializer(serializers.Serializer):
    """What `POST /api/v1/personas/import/` takes."""

    name = serializers.CharField()
    description = serializers.CharField()
    hints = serializers.ListField(child=serializers.CharField())
    settings = serializers.DictField()
