"""`/api/v1/webhooks/`: who is told of what happens, and how each telling went."""

from django.shortcuts import get_object_or_404
from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.response import Response

from migrations_engine.filters import WebhookFilter
from migrations_engine.models import Webhook, WebhookDelivery
from migrations_engine.models.webhook import EVENTS
from migrations_engine.services import webhooks
from personas.api.base import DepartmentField, KnownFields, OwnedViewSet
from personas.models import Role


class WebhookSerializer(KnownFields, serializers.ModelSerializer):
    department = DepartmentField(
        allow_null=True, help_text="Null: the organisation's, told of every department."
    )
    events = serializers.ListField(
        child=serializers.ChoiceField(choices=EVENTS), required=False, help_text="Empty: all of them."
    )

    class Meta:
        model = Webhook
        fields = ["id", "name", "department", "kind", "url", "events", "is_enabled", "created_at", "updated_at"]
        read_only_fields = ["id", "created_at", "updated_at"]
        validators: list = []
        extra_kwargs = {
            "url": {"help_text": "https://…; for people an address as Apprise writes it, shown without secrets."}
        }

    def update(self, instance, validated_data):
        if validated_data.pop("kind", instance.kind) != instance.kind:
            raise serializers.ValidationError({"kind": "It stays what it is; create another webhook."})
        if validated_data.pop("department", instance.department) != instance.department:
            raise serializers.ValidationError({"department": "It stays what it is; create another webhook."})
        return webhooks.webhook_update(webhook=instance, by=self.context["request"].user, **validated_data)


class NewWebhookSerializer(WebhookSerializer):
    secret = serializers.CharField(
        read_only=True, help_text="Shown this once; what signatures are checked with. Empty for people."
    )

    class Meta(WebhookSerializer.Meta):
        fields = [*WebhookSerializer.Meta.fields, "secret"]
        read_only_fields = [*WebhookSerializer.Meta.read_only_fields, "secret", "is_enabled"]


class DeliverySerializer(serializers.ModelSerializer):
    class Meta:
        model = WebhookDelivery
        fields = [
            "id", "message_id", "event", "payload", "state", "attempts", "next_at", "status", "error", "created_at",
            "delivered_at",
        ]  # fmt: skip
        read_only_fields = fields


class WebhookViewSet(OwnedViewSet):
    queryset = Webhook.objects.select_related("department")
    serializer_class = WebhookSerializer
    filterset_class = WebhookFilter
    filter_backends = [DjangoFilterBackend]
    write_role = Role.ADMIN
    http_method_names = ["get", "post", "patch", "delete", "head", "options"]

    @extend_schema(request=NewWebhookSerializer, responses={201: NewWebhookSerializer})
    def create(self, request):
        """The answer tells the secret, this once."""
        asked = NewWebhookSerializer(data=request.data, context=self.get_serializer_context())
        asked.is_valid(raise_exception=True)
        webhook, secret = webhooks.webhook_create(by=request.user, **asked.validated_data)
        told = WebhookSerializer(webhook).data | {"secret": secret}
        return Response(told, status=status.HTTP_201_CREATED, headers={"Cache-Control": "no-store"})

    def perform_destroy(self, webhook):
        webhooks.webhook_delete(webhook=webhook, by=self.request.user)

    @extend_schema(responses=DeliverySerializer(many=True), filters=False)
    @action(detail=True, filterset_class=None)
    def deliveries(self, request, pk=None):
        """Its delivery log, the newest first; in pages."""
        page = self.paginate_queryset(self.get_object().deliveries.all())
        return self.get_paginated_response(DeliverySerializer(page, many=True).data)

    @extend_schema(request=None, responses={202: DeliverySerializer}, summary="Sends a test event")
    @action(detail=True, methods=["post"])
    def test(self, request, pk=None):
        delivery = webhooks.webhook_test(webhook=self.get_object(), by=request.user)
        return Response(DeliverySerializer(delivery).data, status=status.HTTP_202_ACCEPTED)

    @extend_schema(request=None, responses={202: DeliverySerializer}, summary="Sends one delivery again")
    @action(detail=True, methods=["post"], url_path="deliveries/(?P<delivery>[0-9a-f-]{36})/replay")
    def replay(self, request, pk=None, delivery=None):
        row = get_object_or_404(self.get_object().deliveries.all(), pk=delivery)
        row = webhooks.delivery_replay(delivery=row, by=request.user)
        return Response(DeliverySerializer(row).data, status=status.HTTP_202_ACCEPTED)
