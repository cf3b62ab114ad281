"""`/api/v1/migrated-vms/` and `/api/v1/targets/`: what runs have made, and where."""

from django.urls import reverse
from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import mixins, serializers, viewsets
from rest_framework.decorators import action
from rest_framework.response import Response

from migrations_engine import pipeline
from migrations_engine.api.fields import VerificationSerializer
from migrations_engine.api.hypervisors import (
    HostKeySerializer,
    HypervisorSetSerializer,
    HypervisorStateSerializer,
    hypervisor_state,
)
from migrations_engine.filters import MigratedVMFilter, TargetFilter
from migrations_engine.models import MigratedVM, TargetEndpoint
from migrations_engine.services import hypervisors, migrated, targets
from migrations_engine.services.orphans import orphans
from migrations_engine.services.power import POWER
from personas.api.base import DepartmentField, OwnedViewSet
from personas.models import Role
from personas.models.token import Scope


class MigratedVMSerializer(serializers.ModelSerializer):
    verification = serializers.SerializerMethodField()
    is_switching = serializers.BooleanField(help_text="It is being switched on or shut down right now.")
    forwards = serializers.SerializerMethodField(help_text='`{"tcp/80": port on 127.0.0.1}`')

    class Meta:
        model = MigratedVM
        fields = [
            "id", "name", "department", "run", "power_state", "wanted_power",
            "is_switching", "power_error", "forwards", "facts", "verification", "tags", "created_at",
            "removed_at",
        ]  # fmt: skip
        read_only_fields = fields

    @extend_schema_field(VerificationSerializer(many=True))
    def get_verification(self, row):
        return row.verification

    @extend_schema_field(serializers.DictField(child=serializers.IntegerField()))
    def get_forwards(self, row):
        return row.reference.get("forwards", {})


class PowerSerializer(serializers.Serializer):
    power = serializers.ChoiceField(choices=POWER)


class ConsoleSerializer(serializers.Serializer):
    text = serializers.CharField(help_text="The end of what the guest wrote on its serial line.")


class MigratedVMViewSet(
    mixins.ListModelMixin, mixins.RetrieveModelMixin, mixins.DestroyModelMixin, viewsets.GenericViewSet
):
    queryset = MigratedVM.objects.select_related("run__target", "department")
    serializer_class = MigratedVMSerializer
    filterset_class = MigratedVMFilter
    filter_backends = [DjangoFilterBackend]
    write_role = Role.OPERATOR
    write_scope = Scope.MIGRATE

    def get_queryset(self):
        if getattr(self, "swagger_fake_view", False):
            return super().get_queryset().none()
        return super().get_queryset().visible_to(self.request.user)

    def perform_destroy(self, row):
        migrated.migrated_vm_remove(migrated_vm=row, by=self.request.user)

    @extend_schema(
        request=PowerSerializer,
        responses={202: MigratedVMSerializer},
        summary="Switch it on, or shut it down; look again until is_switching is false",
    )
    @action(detail=True, methods=["post"])
    def power(self, request, pk=None):
        asked = PowerSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        row = pipeline.migrated_vm_power(
            migrated_vm=self.get_object(), want=asked.validated_data["power"], by=request.user
        )
        place = request.build_absolute_uri(reverse("migrated-vm-detail", args=[row.pk]))
        return Response(self.get_serializer(row).data, status=202, headers={"Location": place})

    @extend_schema(responses=ConsoleSerializer, summary="Its console log")
    @action(detail=True)
    def console(self, request, pk=None):
        return Response({"text": migrated.migrated_vm_console(migrated_vm=self.get_object())})


class TargetSerializer(serializers.ModelSerializer):
    department = DepartmentField(
        allow_null=True, required=False, help_text="Owner; null: the organisation's."
    )

    class Meta:
        model = TargetEndpoint
        fields = ["id", "name", "kind", "department", "created_at", "updated_at"]
        read_only_fields = ["id", "created_at", "updated_at"]
        validators: list = []

    def create(self, validated_data):
        return targets.target_create(by=self.context["request"].user, **validated_data)

    def update(self, instance, validated_data):
        for fixed in ("department", "kind"):
            if validated_data.get(fixed, getattr(instance, fixed)) != getattr(instance, fixed):
                raise serializers.ValidationError({fixed: "It stays what it is; create another target."})
        name = validated_data.get("name", instance.name)
        return targets.target_update(target=instance, name=name, by=self.context["request"].user)


class TargetStateSerializer(serializers.Serializer):
    version = serializers.CharField()
    accelerator = serializers.CharField(help_text="kvm, or tcg (emulation).")
    vcpus = serializers.IntegerField()
    memory_mib = serializers.IntegerField(help_text="Free right now.")
    free_bytes = serializers.IntegerField()
    firmwares = serializers.ListField(child=serializers.CharField())
    detail = serializers.CharField()


class OrphanSerializer(serializers.Serializer):
    key = serializers.CharField()
    run = serializers.UUIDField(allow_null=True)
    name = serializers.CharField(help_text="Of the machine.")
    what = serializers.CharField()


class OrphansSerializer(serializers.Serializer):
    strangers = OrphanSerializer(many=True, help_text="At the target, in no open row of the ledger.")
    missing = OrphanSerializer(many=True, help_text="In the ledger, not at the target.")


class TargetCheckSerializer(TargetStateSerializer):
    enforces = serializers.ListField(child=serializers.CharField())
    missing = serializers.ListField(child=serializers.CharField(), help_text="What a run would lack there.")
    notes = serializers.ListField(child=serializers.CharField())


class TargetViewSet(OwnedViewSet):
    queryset = TargetEndpoint.objects.select_related("department")
    serializer_class = TargetSerializer
    filterset_class = TargetFilter
    filter_backends = [DjangoFilterBackend]

    def perform_destroy(self, row):
        targets.target_delete(target=row, by=self.request.user)

    @extend_schema(responses=TargetStateSerializer, summary="What it is able to do right now")
    @action(detail=True)
    def probe(self, request, pk=None):
        return Response(targets.target_probe(target=self.get_object()))

    @extend_schema(responses=OrphansSerializer, summary="What target and ledger say differently; nothing is removed")
    @action(detail=True)
    def orphans(self, request, pk=None):
        return Response(orphans(target=self.get_object(), by=request.user))

    @extend_schema(
        request=None,
        responses=TargetCheckSerializer,
        summary="Check the connection: what a run needs is tried there; plans go by what was found",
    )
    @action(detail=True, methods=["post"])
    def check(self, request, pk=None):
        return Response(hypervisors.target_check(target=self.get_object(), by=request.user))

    @extend_schema(responses=HypervisorStateSerializer, summary="Where the hypervisor is, and who logs in")
    @action(detail=True, methods=["get"], filter_backends=[], pagination_class=None)
    def hypervisor(self, request, pk=None):
        return Response(hypervisor_state(self.get_object()))

    @extend_schema(
        request=HypervisorSetSerializer,
        responses=HypervisorStateSerializer,
        summary="Say where the hypervisor is, and how to log in",
    )
    @hypervisor.mapping.put
    def hypervisor_put(self, request, pk=None):
        target = self.get_object()
        asked = HypervisorSetSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        hypervisors.hypervisor_set(target=target, by=request.user, **asked.validated_data)
        return Response(hypervisor_state(target))

    @extend_schema(
        request=HostKeySerializer,
        responses=HypervisorStateSerializer,
        summary="Trust the host key that a person has compared",
    )
    @action(detail=True, methods=["post"], url_path="confirm-key", url_name="confirm-key")
    def confirm_key(self, request, pk=None):
        target = self.get_object()
        asked = HostKeySerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        hypervisors.host_key_confirm(target=target, by=request.user, **asked.validated_data)
        return Response(hypervisor_state(target))
