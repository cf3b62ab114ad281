"""Runs, plans and what is decided about them, on the wire."""

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from migrations_engine.api.fields import ChangeSerializer, ConcernSerializer, NamedSerializer, StepSerializer
from migrations_engine.domain.terms import LONGEST_MINUTES
from migrations_engine.models import Cutover, MigrationRun, RunEvent, WarmCopy
from migrations_engine.models.run import COMMITS, DRILLS, MODES, ON_ROLLBACK
from migrations_engine.services.cutover import CHOICES
from migrations_engine.services.progress import run_elapsed_s, run_percent, script_outcomes, step_progress
from migrations_engine.services.receipt import receipt_of


class LaunchSerializer(serializers.Serializer):
    """Ids that are well-formed but unknown, or not yours, are answered with 404."""

    template = serializers.UUIDField(help_text="TemplateID")
    vm = serializers.UUIDField(help_text="VMID")
    persona = serializers.UUIDField(required=False, help_text="PersonaID")
    personas = serializers.ListField(
        child=serializers.UUIDField(), required=False, max_length=20, help_text="Several, the last one wins."
    )
    use_case = serializers.CharField(
        required=False, max_length=80, help_text="Takes the personas that the machine carries for it."
    )
    overrides = serializers.DictField(required=False, help_text="A settings document; beats every layer.")
    target = serializers.UUIDField(
        required=False, help_text="The department's own, or the organisation's, if left out."
    )

    def validate(self, attrs):
        unknown = sorted(set(self.initial_data) - set(self.fields))
        if unknown:
            raise serializers.ValidationError(dict.fromkeys(unknown, "Not known here."))
        return attrs


class StartSerializer(LaunchSerializer):
    plan_sha256 = serializers.RegexField(
        "^[0-9a-f]{64}$",
        required=False,
        help_text="Of the plan that you saw: 409 where it is another one now.",
    )
    mode = serializers.ChoiceField(choices=MODES, required=False)
    commit = serializers.ChoiceField(choices=COMMITS, required=False)
    confirm_minutes = serializers.IntegerField(
        required=False, min_value=1, max_value=LONGEST_MINUTES, help_text="With `commit: timed`."
    )
    checks_confirm = serializers.BooleanField(
        required=False, help_text="Acceptance checks that all pass confirm the run."
    )
    on_rollback = serializers.ChoiceField(choices=ON_ROLLBACK, required=False)
    shutdown_minutes = serializers.IntegerField(
        required=False, min_value=1, max_value=LONGEST_MINUTES, help_text="A cutover's source has so long to go off."
    )
    decide_minutes = serializers.IntegerField(
        required=False, min_value=1, max_value=LONGEST_MINUTES, help_text="And then a person has so long to decide."
    )
    drill = serializers.ChoiceField(
        choices=DRILLS,
        required=False,
        help_text="A fault to simulate; department admins, `mode: test` only (`shutdown_refused`: `mode: cutover`).",
    )
    acknowledge = serializers.DictField(
        child=serializers.CharField(max_length=500, allow_blank=True),
        required=False,
        help_text="`{id of a Warning: why it is accepted}`",
    )


class PlanSerializer(serializers.Serializer):
    sha256 = serializers.CharField()
    launchable = serializers.BooleanField(help_text="No concern is critical.")
    repeats = serializers.UUIDField(
        allow_null=True,
        help_text="The run that did the very same, and whose machine is still there: nothing changes.",
    )
    modes = serializers.DictField(
        child=serializers.CharField(allow_blank=True), help_text="`{mode: why not, or \"\"}`"
    )
    concerns = ConcernSerializer(many=True)
    changes = ChangeSerializer(many=True, help_text="From the machine as it is to the machine as planned.")
    merged = serializers.DictField(
        help_text="As `POST /merge/` answers: merged, origin, conflicts, refused, sha256."
    )
    machine = serializers.DictField(allow_null=True)
    kernel = serializers.DictField(allow_null=True)
    enforcement = serializers.ListField(child=serializers.DictField())
    scripts = serializers.ListField(child=serializers.DictField())


class RunSerializer(serializers.ModelSerializer):
    vm = serializers.SerializerMethodField()
    template = serializers.SerializerMethodField()
    personas = serializers.SerializerMethodField()
    created_by = serializers.SlugRelatedField(slug_field="username", read_only=True)
    percent = serializers.SerializerMethodField()
    elapsed_s = serializers.SerializerMethodField()

    class Meta:
        model = MigrationRun
        fields = [
            "id", "state", "percent", "elapsed_s", "root_cause", "department", "vm", "template", "personas", "use_case",
            "target", "plan_sha256", "mode", "drill", "commit", "confirm_by", "on_rollback", "finalized_at",
            "created_by", "created_at", "started_at", "finished_at",
        ]  # fmt: skip
        read_only_fields = fields

    @extend_schema_field(NamedSerializer)
    def get_vm(self, run):
        return _named(run.plan["vm"])

    @extend_schema_field(NamedSerializer)
    def get_template(self, run):
        return _named(run.plan["template"])

    @extend_schema_field(NamedSerializer(many=True))
    def get_personas(self, run):
        return [_named(persona) for persona in run.plan["personas"]]

    def get_percent(self, run) -> float:
        return run_percent(run)

    def get_elapsed_s(self, run) -> float | None:
        return run_elapsed_s(run)


def _named(document) -> dict:
    return {"id": document["id"], "name": document["name"]}


class EventSerializer(serializers.ModelSerializer):
    class Meta:
        model = RunEvent
        fields = ["at", "step", "level", "text"]


class AcknowledgedSerializer(serializers.Serializer):
    id = serializers.CharField()
    text = serializers.CharField()
    reason = serializers.CharField()


class CutoverSerializer(serializers.ModelSerializer):
    """What the run does to the power of its source."""

    outage_s = serializers.FloatField(read_only=True, allow_null=True)

    class Meta:
        model = Cutover
        fields = [
            "power_before", "asked_at", "force", "decide_by", "off_at", "up_at", "outage_s", "checked_at",
            "restored_at", "problem",
        ]  # fmt: skip
        read_only_fields = fields


class WarmRoundSerializer(serializers.Serializer):
    bytes = serializers.IntegerField()
    seconds = serializers.FloatField()


class OutageForecastSerializer(serializers.Serializer):
    changes_bytes = serializers.IntegerField()
    changes_s = serializers.FloatField(help_text="For the last changes, which will be like those of the last round.")
    rest_s = serializers.FloatField(
        allow_null=True, help_text="To prepare and boot; null before any run of this machine has told."
    )
    total_s = serializers.FloatField(allow_null=True)


class WarmSerializer(serializers.ModelSerializer):
    """The copy that follows a running source."""

    rounds = WarmRoundSerializer(many=True, read_only=True, help_text="The first one is of the whole disks.")
    forecast = OutageForecastSerializer(read_only=True, allow_null=True, help_text="Of the outage, made before it.")

    class Meta:
        model = WarmCopy
        fields = ["rounds", "forecast", "settled_at", "proved_at", "is_marked", "problem"]
        read_only_fields = fields


class DecideSerializer(serializers.Serializer):
    choice = serializers.ChoiceField(
        choices=CHOICES,
        help_text="retry: ask the guest once more; force: switch it off as it is; abort: leave it running; "
        "on_anyway: of a failed run, switch its source on though the target does not say that the new machine is off.",
    )


class RollbackSerializer(serializers.Serializer):
    reason = serializers.CharField(required=False, max_length=500, allow_blank=True)


class RunDetailSerializer(RunSerializer):
    steps = serializers.SerializerMethodField()
    events = EventSerializer(many=True)
    merged = serializers.SerializerMethodField(
        help_text="Settings with the origin of each, as they were launched."
    )
    concerns = serializers.SerializerMethodField()
    changes = serializers.SerializerMethodField()
    scripts = serializers.SerializerMethodField(
        help_text="Exit code, stdout, stderr and duration of each script."
    )
    acknowledged = AcknowledgedSerializer(many=True, read_only=True)
    cutover = serializers.SerializerMethodField()
    warm = serializers.SerializerMethodField()
    receipt = serializers.SerializerMethodField()
    migrated_vm = serializers.SerializerMethodField()

    class Meta(RunSerializer.Meta):
        fields = [
            *RunSerializer.Meta.fields, "overrides", "steps", "events", "merged", "concerns", "changes", "scripts",
            "acknowledged", "cutover", "warm", "receipt", "migrated_vm",
        ]  # fmt: skip
        read_only_fields = fields

    @extend_schema_field(StepSerializer(many=True))
    def get_steps(self, run):
        return [step_progress(step) for step in run.steps.all()]

    @extend_schema_field(OpenApiTypes.OBJECT)
    def get_merged(self, run):
        return run.plan["merged"]

    @extend_schema_field(ConcernSerializer(many=True))
    def get_concerns(self, run):
        return run.plan["concerns"]

    @extend_schema_field(ChangeSerializer(many=True))
    def get_changes(self, run):
        return run.plan["changes"]

    @extend_schema_field(serializers.ListField(child=serializers.DictField()))
    def get_scripts(self, run):
        return script_outcomes(run)

    @extend_schema_field(CutoverSerializer(allow_null=True))
    def get_cutover(self, run):
        row = getattr(run, "cutover", None)
        return CutoverSerializer(row).data if row else None

    @extend_schema_field(WarmSerializer(allow_null=True))
    def get_warm(self, run):
        row = getattr(run, "warm", None)
        return WarmSerializer(row).data if row else None

    @extend_schema_field(OpenApiTypes.OBJECT)
    def get_receipt(self, run):
        return receipt_of(run)

    @extend_schema_field(serializers.UUIDField(allow_null=True))
    def get_migrated_vm(self, run):
        machine = getattr(run, "migrated_vm", None)
        return str(machine.pk) if machine else None


class CleanedUpSerializer(serializers.Serializer):
    removed = serializers.ListField(child=serializers.CharField())
    missing = serializers.ListField(child=serializers.CharField(), help_text="Gone already.")


class ReceiptKeySerializer(serializers.Serializer):
    public_key = serializers.CharField(help_text="PEM; what receipts of this instance are verified with.")
