"""`/api/v1/migrations/` and `/api/v1/plans/`: MigrateVM(TemplateID, VMID, PersonaID), its preview, its steering."""

from django.http import HttpResponse
from django.urls import reverse
from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema, extend_schema_field
from rest_framework import mixins, serializers, status, viewsets
from rest_framework.decorators import action
from rest_framework.response import Response
from rest_framework.views import APIView

from migrations_engine import pipeline
from migrations_engine.api.fields import ChangeSerializer, ConcernSerializer, NamedSerializer, StepSerializer
from migrations_engine.domain.terms import LONGEST_MINUTES
from migrations_engine.filters import RunFilter
from migrations_engine.models import Cutover, MigrationRun, RunEvent, WarmCopy
from migrations_engine.models.run import COMMITS, DRILLS, MODES, ON_ROLLBACK
from migrations_engine.services import commitment
from migrations_engine.services.cutover import CHOICES
from migrations_engine.services.launch import launch_arguments, terms_asked
from migrations_engine.services.orphans import run_clean_up
from migrations_engine.services.plan import plan_make
from migrations_engine.services.progress import (
    run_elapsed_s,
    run_percent,
    script_outcomes,
    step_progress,
    with_progress,
)
from migrations_engine.services.receipt import receipt_key, receipt_of
from migrations_engine.services.repeats import changes_left, repeated_run
from migrations_engine.services.runs import run_replayed
from migrations_engine.services.support_bundle import support_bundle
from personas.domain.canonical import sha256_of
from personas.models import Role
from personas.models.token import Scope
from personas.services.access import require
from templates_app.permissions import AskPermission

MAX_KEY_CHARACTERS = 200


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
        help_text="retry: ask the guest once more; force: switch it off as it is; abort: leave it running.",
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


class ReceiptKeyView(APIView):
    permission_classes = [AskPermission]

    @extend_schema(responses=ReceiptKeySerializer, summary="The public key of this instance's receipts")
    def get(self, request):
        return Response({"public_key": receipt_key()})


class PlanView(APIView):
    permission_classes = [AskPermission]

    @extend_schema(
        operation_id="plan",
        summary="What a migration would do; nothing is stored",
        request=LaunchSerializer,
        responses=PlanSerializer,
    )
    def post(self, request):
        asked = LaunchSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        plan = plan_make(**launch_arguments(asked.validated_data, by=request.user))
        shown = {name: plan.document[name] for name in PlanSerializer().fields if name in plan.document}
        repeated = repeated_run(plan)
        shown |= {"changes": changes_left(plan, repeated), "repeats": str(repeated.pk) if repeated else None}
        return Response({**shown, "sha256": plan.sha256, "launchable": not plan.blockers})


IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    description="The same key replays the first answer; with another body 422.",
)


class RunViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet):
    queryset = MigrationRun.objects.select_related("created_by")
    serializer_class = RunSerializer
    filterset_class = RunFilter
    filter_backends = [DjangoFilterBackend]
    write_role = Role.OPERATOR
    write_scope = Scope.MIGRATE

    def get_queryset(self):
        if getattr(self, "swagger_fake_view", False):
            return super().get_queryset().none()
        return with_progress(super().get_queryset().visible_to(self.request.user))

    @extend_schema(responses=RunDetailSerializer)
    def retrieve(self, request, *args, **kwargs):
        return Response(RunDetailSerializer(self.get_object()).data)

    @extend_schema(
        summary="MigrateVM(TemplateID, VMID, PersonaID)",
        request=StartSerializer,
        responses={202: RunSerializer},
        parameters=[IDEMPOTENCY_KEY],
        examples=[
            OpenApiExample(
                "By persona",
                value={"template": "1b9d…", "vm": "58ad…", "persona": "c09f…"},
                request_only=True,
            )
        ],
    )
    def create(self, request):
        asked = StartSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        key, sha256 = _key(request), sha256_of(request.data)
        if earlier := run_replayed(by=request.user, key=key, request_sha256=sha256):
            return self._accepted(earlier)
        run = pipeline.run_start(
            **launch_arguments(asked.validated_data, by=request.user),
            plan_sha256=asked.validated_data.get("plan_sha256"),
            idempotency_key=key,
            request_sha256=sha256,
            terms=terms_asked(asked.validated_data),
            acknowledged=asked.validated_data.get("acknowledge"),
            drill=asked.validated_data.get("drill", ""),
        )
        return self._accepted(run)

    @extend_schema(responses=OpenApiTypes.OBJECT, filters=False, summary="Its signed receipt, as a file")
    @action(detail=True, filterset_class=None)
    def receipt(self, request, pk=None):
        run = self.get_object()
        headers = {"Content-Disposition": f'attachment; filename="receipt-{run.pk}.json"'}
        return Response(receipt_of(run), headers=headers)

    @extend_schema(
        responses={(200, "application/zip"): OpenApiTypes.BINARY},
        filters=False,
        summary="What somebody else needs to understand it, without secrets, as ZIP",
    )
    @action(detail=True, filterset_class=None)
    def support(self, request, pk=None):
        run = self.get_object()
        require(by=request.user, department=run.department, role=Role.OPERATOR)
        headers = {"Content-Disposition": f'attachment; filename="support-{run.pk}.zip"'}
        return HttpResponse(support_bundle(run), content_type="application/zip", headers=headers)

    @extend_schema(
        request=None,
        responses={202: RunSerializer},
        summary="Stop it, or give it up; what it made is removed",
    )
    @action(detail=True, methods=["post"])
    def cancel(self, request, pk=None):
        return self._accepted(pipeline.run_cancel(run=self.get_object(), by=request.user))

    @extend_schema(
        request=None,
        responses={202: RunSerializer},
        summary="The failed step once more, on the same snapshot",
    )
    @action(detail=True, methods=["post"])
    def retry(self, request, pk=None):
        return self._accepted(pipeline.run_retry(run=self.get_object(), by=request.user))

    @extend_schema(request=None, responses=RunSerializer, summary="It stays: ends the wait for a person")
    @action(detail=True, methods=["post"])
    def confirm(self, request, pk=None):
        return self._shown(commitment.run_confirm(run=self.get_object(), by=request.user))

    @extend_schema(
        request=RollbackSerializer,
        responses={202: RunSerializer},
        summary="The way back; discards a test migration",
    )
    @action(detail=True, methods=["post"])
    def rollback(self, request, pk=None):
        asked = RollbackSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        reason = asked.validated_data.get("reason", "")
        return self._accepted(pipeline.run_rollback(run=self.get_object(), by=request.user, reason=reason))

    @extend_schema(
        request=DecideSerializer,
        responses={202: RunSerializer},
        summary="What becomes of a source that does not shut down",
    )
    @action(detail=True, methods=["post"])
    def decide(self, request, pk=None):
        asked = DecideSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        run = pipeline.run_decide(run=self.get_object(), by=request.user, **asked.validated_data)
        return self._accepted(run)

    @extend_schema(request=None, responses=RunSerializer, summary="Gives up the way back")
    @action(detail=True, methods=["post"])
    def finalize(self, request, pk=None):
        return self._shown(commitment.run_finalize(run=self.get_object(), by=request.user))

    @extend_schema(
        request=None, responses=CleanedUpSerializer, summary="Removes what a run that is over left at its target"
    )
    @action(detail=True, methods=["post"], url_path="clean-up")
    def clean_up(self, request, pk=None):
        done = run_clean_up(run=self.get_object(), by=request.user)
        return Response({"removed": done.removed, "missing": done.missing})

    def _shown(self, run) -> Response:
        return Response(RunSerializer(self.get_queryset().get(pk=run.pk)).data)

    def _accepted(self, run) -> Response:
        run = self.get_queryset().get(pk=run.pk)
        place = self.request.build_absolute_uri(reverse("migration-detail", args=[run.pk]))
        return Response(RunSerializer(run).data, status=status.HTTP_202_ACCEPTED, headers={"Location": place})


def _key(request) -> str:
    key = request.headers.get("Idempotency-Key", "").strip().strip('"')
    if len(key) > MAX_KEY_CHARACTERS:
        raise serializers.ValidationError({"Idempotency-Key": f"At most {MAX_KEY_CHARACTERS} characters."})
    return key
