"""`/api/v1/waves/`: many machines in an order, within limits and windows."""

from django.http import HttpResponse
from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import mixins, serializers, status, viewsets
from rest_framework.decorators import action
from rest_framework.response import Response

from analyzer.models import VirtualMachine
from migrations_engine.filters import WaveFilter
from migrations_engine.models import TargetEndpoint, Wave, WaveMember, WaveWindow
from migrations_engine.services import wave_board, wave_members, waves
from migrations_engine.services.lookup import find
from migrations_engine.services.progress import run_elapsed_s, run_percent
from personas.api.base import DepartmentField, KnownFields, OwnedViewSet, ScopedRelatedField
from personas.errors import BadInput
from personas.models import Persona, Role
from personas.models.token import Scope
from templates_app.models import MigrationTemplate


class CountsSerializer(serializers.Serializer):
    machines = serializers.IntegerField()
    waiting = serializers.IntegerField()
    at_work = serializers.IntegerField()
    confirming = serializers.IntegerField()
    succeeded = serializers.IntegerField()
    failed = serializers.IntegerField()
    cancelled = serializers.IntegerField()


class WaveSerializer(KnownFields, serializers.ModelSerializer):
    department = DepartmentField(role=Role.OPERATOR)
    template = ScopedRelatedField(queryset=MigrationTemplate.objects.all())
    persona = ScopedRelatedField(queryset=Persona.objects.all(), allow_null=True, required=False)
    target = ScopedRelatedField(queryset=TargetEndpoint.objects.all(), allow_null=True, required=False)
    after = ScopedRelatedField(queryset=Wave.objects.all(), allow_null=True, required=False)
    started_by = serializers.SlugRelatedField(slug_field="username", read_only=True)
    approved_by = serializers.SlugRelatedField(slug_field="username", read_only=True)
    counts = serializers.SerializerMethodField()

    class Meta:
        model = Wave
        fields = [
            "id", "department", *waves.COLUMNS, "state", "reason", "counts", "started_by", "approved_by", "created_at",
            "started_at", "finished_at",
        ]  # fmt: skip
        read_only_fields = ["id", "state", "reason", "created_at", "started_at", "finished_at"]
        validators: list = []

    @extend_schema_field(CountsSerializer)
    def get_counts(self, wave):
        return wave_board.counts(wave)

    def create(self, validated_data):
        return waves.wave_create(by=self.context["request"].user, **validated_data)

    def update(self, instance, validated_data):
        if validated_data.pop("department", instance.department) != instance.department:
            raise serializers.ValidationError({"department": "It stays what it is; create another wave."})
        return waves.wave_update(wave=instance, by=self.context["request"].user, **validated_data)


class WaveMemberSerializer(KnownFields, serializers.ModelSerializer):
    vm_name = serializers.CharField(source="vm.name", read_only=True)
    persona = ScopedRelatedField(queryset=Persona.objects.all(), allow_null=True, required=False)
    overrides = serializers.DictField(required=False, help_text="A settings document for this machine only.")
    standing = serializers.CharField(read_only=True, help_text="The run's state where there is a run.")
    percent = serializers.SerializerMethodField()
    elapsed_s = serializers.SerializerMethodField()

    class Meta:
        model = WaveMember
        fields = [
            "id", "wave", "vm", "vm_name", "persona", "overrides", "order", "state", "standing", "percent", "elapsed_s",
            "run", "attempt", "error",
        ]  # fmt: skip
        read_only_fields = ["id", "wave", "vm", "state", "run", "attempt", "error"]

    def get_percent(self, member) -> float:
        return run_percent(member.run) if member.run else 0.0

    def get_elapsed_s(self, member) -> float | None:
        return run_elapsed_s(member.run) if member.run else None

    def update(self, instance, validated_data):
        columns = {
            name: validated_data.get(name, getattr(instance, name))
            for name in ("persona", "overrides", "order")
        }
        return wave_members.member_update(member=instance, by=self.context["request"].user, **columns)


class AddSerializer(serializers.Serializer):
    """One of them, or several."""

    vms = serializers.ListField(child=serializers.UUIDField(), required=False, max_length=wave_members.MOST)
    rule = serializers.CharField(required=False, max_length=2000, help_text='`os ~ "debian" and tag:web`')
    csv = serializers.CharField(
        required=False,
        max_length=1_000_000,
        help_text="The text of a CSV with the columns vm, persona, order.",
    )


class AddedSerializer(serializers.Serializer):
    added = serializers.IntegerField()


class SendBackSerializer(serializers.Serializer):
    reason = serializers.CharField(required=False, allow_blank=True, max_length=300)


class WindowSerializer(KnownFields, serializers.ModelSerializer):
    class Meta:
        model = WaveWindow
        fields = ["id", "starts_at", "ends_at", "weekly"]
        read_only_fields = ["id"]


class WaveViewSet(OwnedViewSet):
    queryset = Wave.objects.select_related("department", "started_by", "approved_by")
    serializer_class = WaveSerializer
    filterset_class = WaveFilter
    filter_backends = [DjangoFilterBackend]
    write_role = Role.OPERATOR
    write_scope = Scope.MIGRATE
    http_method_names = ["get", "post", "patch", "delete", "head", "options"]

    def perform_destroy(self, wave):
        waves.wave_delete(wave=wave, by=self.request.user)

    @extend_schema(responses=WaveMemberSerializer(many=True), filters=False)
    @action(detail=True, filterset_class=None)
    def members(self, request, pk=None):
        """Its machines in their order, with how each stands; in pages."""
        rows = wave_board.board_rows(self.get_object())
        page = self.paginate_queryset(rows)
        return self.get_paginated_response(
            WaveMemberSerializer(page, many=True, context={"request": request}).data
        )

    @extend_schema(
        request=AddSerializer, responses=AddedSerializer, summary="Adds machines by id, by rule, by CSV"
    )
    @members.mapping.post
    def add(self, request, pk=None):
        wave, asked = self.get_object(), AddSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        given, by = asked.validated_data, request.user
        if not given:
            raise BadInput({"vms": ["Give vms, rule or csv."]})
        added = 0
        if "vms" in given:
            vms = [find(VirtualMachine, id, by=by, field=f"vms.{n}") for n, id in enumerate(given["vms"])]
            added += wave_members.members_add(wave=wave, vms=vms, by=by)
        if "rule" in given:
            added += wave_members.members_add_by_rule(wave=wave, rule=given["rule"], by=by)
        if "csv" in given:
            added += wave_members.members_add_by_csv(wave=wave, content=given["csv"].encode(), by=by)
        return Response({"added": added})

    @extend_schema(responses=WindowSerializer(many=True), filters=False)
    @action(detail=True, filterset_class=None, pagination_class=None)
    def windows(self, request, pk=None):
        return Response(WindowSerializer(self.get_object().windows.all(), many=True).data)

    @extend_schema(
        request=WindowSerializer, responses={201: WindowSerializer}, summary="Adds a maintenance window"
    )
    @windows.mapping.post
    def add_window(self, request, pk=None):
        wave, asked = self.get_object(), WindowSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        window = waves.window_add(wave=wave, by=request.user, **asked.validated_data)
        return Response(WindowSerializer(window).data, status=status.HTTP_201_CREATED)

    def _steered(self, verb, **arguments) -> Response:
        wave = verb(wave=self.get_object(), by=self.request.user, **arguments)
        return Response(self.get_serializer(self.get_queryset().get(pk=wave.pk)).data)

    @extend_schema(request=None, responses=WaveSerializer, summary="Starts it, or asks for its approval")
    @action(detail=True, methods=["post"])
    def start(self, request, pk=None):
        return self._steered(waves.wave_start)

    @extend_schema(
        request=None, responses=WaveSerializer, summary="Approves it; with four eyes somebody else does"
    )
    @action(detail=True, methods=["post"])
    def approve(self, request, pk=None):
        return self._steered(waves.wave_approve)

    @extend_schema(request=SendBackSerializer, responses=WaveSerializer, summary="Makes it a draft again")
    @action(detail=True, methods=["post"])
    def send_back(self, request, pk=None):
        asked = SendBackSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        return self._steered(waves.wave_send_back, reason=asked.validated_data.get("reason", ""))

    @extend_schema(request=None, responses=WaveSerializer, summary="Starts nothing more; runs at work go on")
    @action(detail=True, methods=["post"])
    def pause(self, request, pk=None):
        return self._steered(waves.wave_pause)

    @extend_schema(request=None, responses=WaveSerializer, summary="Goes on")
    @action(detail=True, methods=["post"])
    def resume(self, request, pk=None):
        return self._steered(waves.wave_resume)

    @extend_schema(request=None, responses=WaveSerializer, summary="Starts nothing more, for good")
    @action(detail=True, methods=["post"])
    def cancel(self, request, pk=None):
        return self._steered(waves.wave_cancel)

    @extend_schema(
        request=None, responses=WaveSerializer, summary="The failed ones once more, and only these"
    )
    @action(detail=True, methods=["post"])
    def retry_failed(self, request, pk=None):
        return self._steered(waves.wave_retry_failed)

    @extend_schema(responses=OpenApiTypes.OBJECT, filters=False)
    @action(detail=True, filterset_class=None)
    def report(self, request, pk=None):
        """What became of the wave and of each machine."""
        return Response(wave_board.report_of(self.get_object()))

    @extend_schema(responses={(200, "text/csv"): OpenApiTypes.STR}, filters=False)
    @action(detail=True, filterset_class=None)
    def report_csv(self, request, pk=None):
        """The report's machines as CSV."""
        text = wave_board.report_csv(wave_board.report_rows(self.get_object()))
        return HttpResponse(text, content_type="text/csv; charset=utf-8")


class WaveMemberViewSet(
    mixins.RetrieveModelMixin, mixins.UpdateModelMixin, mixins.DestroyModelMixin, viewsets.GenericViewSet
):
    queryset = WaveMember.objects.select_related("vm", "persona", "run", "wave__department")
    serializer_class = WaveMemberSerializer
    write_role = Role.OPERATOR
    write_scope = Scope.MIGRATE
    http_method_names = ["get", "patch", "delete", "head", "options"]

    def get_queryset(self):
        if getattr(self, "swagger_fake_view", False):
            return super().get_queryset().none()
        return super().get_queryset().visible_to(self.request.user)

    def perform_destroy(self, member):
        wave_members.member_remove(member=member, by=self.request.user)


class WaveWindowViewSet(mixins.RetrieveModelMixin, mixins.DestroyModelMixin, viewsets.GenericViewSet):
    queryset = WaveWindow.objects.select_related("wave__department")
    serializer_class = WindowSerializer
    write_role = Role.OPERATOR
    write_scope = Scope.MIGRATE

    def get_queryset(self):
        if getattr(self, "swagger_fake_view", False):
            return super().get_queryset().none()
        return super().get_queryset().visible_to(self.request.user)

    def perform_destroy(self, window):
        waves.window_remove(window=window, by=self.request.user)
