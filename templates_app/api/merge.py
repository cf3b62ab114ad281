"""`POST /api/v1/merge/` and the vocabulary's JSON Schema."""

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.response import Response
from rest_framework.views import APIView

from personas.domain.settings import json_schema
from templates_app.api.parsers import BoundedJSONParser
from templates_app.permissions import AskPermission
from templates_app.services.merge_request import merge_asked


class MergeRequestSerializer(serializers.Serializer):
    """Only names and kinds; the service checks what is in them and names the place of each error."""

    template = serializers.JSONField(required=False, help_text="TemplateID, or a document.")
    personas = serializers.JSONField(
        required=False,
        help_text="List of PersonaIDs, documents, {id | document, name, priority}; by priority, then name; later wins.",
    )
    persona = serializers.JSONField(required=False, help_text="The same for one persona.")
    department = serializers.UUIDField(
        required=False, help_text="Its defaults stand between template and personas."
    )
    overrides = serializers.JSONField(
        required=False, help_text="A document of what is asked for at the launch, as in `POST /migrations/`."
    )
    driver_sets = serializers.JSONField(
        required=False, help_text="Slug → list of drivers; beside the driver sets that the department has."
    )

    def validate(self, attrs):
        unknown = sorted(set(self.initial_data) - set(self.fields))
        if unknown:
            raise serializers.ValidationError(dict.fromkeys(unknown, "Not known here."))
        return attrs


class OriginSerializer(serializers.Serializer):
    path = serializers.CharField()
    value = serializers.JSONField()
    layer = serializers.CharField(help_text="`persona:DatabaseAdmin@3`, or the driver set that came with it.")
    rule = serializers.CharField()
    beat = serializers.ListField(child=serializers.DictField(), help_text="[{layer, value}], low to high.")
    items = serializers.ListField(
        child=serializers.DictField(), required=False, help_text="Of a list: [{value, layer}]."
    )


class MergedSerializer(serializers.Serializer):
    merged = serializers.DictField()
    origin = OriginSerializer(many=True, help_text="One row for each leaf of `merged`.")
    conflicts = serializers.ListField(child=serializers.DictField(), help_text="[{path, winner, losers}]")
    refused = serializers.ListField(
        child=serializers.DictField(), help_text="[{path, layer, value, locked_by}]"
    )
    sha256 = serializers.CharField(help_text="Of the canonical JSON of `merged`.")


EXAMPLE = {
    "template": {"resources": {"vcpus": 1, "memory_mib": 1024}, "packages": ["curl"]},
    "personas": [
        {
            "name": "DatabaseAdmin",
            "document": {"resources": {"memory_mib": 8192}, "packages": ["postgresql-15"]},
        }
    ],
}


class MergeView(APIView):
    permission_classes = [AskPermission]
    parser_classes = [BoundedJSONParser]

    @extend_schema(
        operation_id="merge",
        summary="Merge a template with personas; nothing is stored",
        request=MergeRequestSerializer,
        responses=MergedSerializer,
        examples=[OpenApiExample("Two documents", value=EXAMPLE, request_only=True)],
    )
    def post(self, request):
        asked = MergeRequestSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        return Response(merge_asked(asked.validated_data, by=request.user).as_dict())


class SettingsSchemaView(APIView):
    permission_classes = [AskPermission]

    @extend_schema(
        operation_id="settings_schema",
        summary="JSON Schema of a settings document",
        responses=OpenApiTypes.OBJECT,
    )
    def get(self, request):
        return Response(json_schema())
