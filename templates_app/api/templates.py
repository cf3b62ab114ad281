"""`/api/v1/templates/`: templates, their documents and revisions."""

from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.generics import get_object_or_404
from rest_framework.response import Response

from personas.api.base import DepartmentField, ETagMixin, OwnedViewSet, ScopedRelatedField
from personas.models import DriverSet, NetworkProfile, Persona, ResourceProfile, Role, Script
from templates_app.filters import TemplateFilter
from templates_app.models import MigrationTemplate, MigrationTemplateRevision
from templates_app.services import templates


class TemplateSerializer(serializers.ModelSerializer):
    department = DepartmentField(
        allow_null=True, help_text="Owner; null: the organisation's. It stays what it is."
    )
    persona = ScopedRelatedField(
        queryset=Persona.objects.all(),
        allow_null=True,
        required=False,
        help_text="PersonaID; used when a launch names none.",
    )
    default_driver_set = ScopedRelatedField(queryset=DriverSet.objects.all(), allow_null=True, required=False)
    resource_allocation_profile = ScopedRelatedField(
        queryset=ResourceProfile.objects.all(), allow_null=True, required=False
    )
    network_profile = ScopedRelatedField(
        queryset=NetworkProfile.objects.all(), allow_null=True, required=False
    )
    post_migration_script = ScopedRelatedField(queryset=Script.objects.all(), allow_null=True, required=False)
    revision = serializers.IntegerField(read_only=True)
    document = serializers.DictField(read_only=True, help_text="The same in the words of the vocabulary.")

    class Meta:
        model = MigrationTemplate
        exclude: list = []
        read_only_fields = ["id", "archived_at", "created_at", "updated_at"]
        validators: list = []  # uniqueness is the service's to tell, with the row that has the name

    def create(self, validated_data):
        return templates.template_create(by=self.context["request"].user, **validated_data)

    def update(self, instance, validated_data):
        asked = validated_data.pop("department", instance.department)
        if asked != instance.department:
            raise serializers.ValidationError(
                {"department": "A template stays in its department; clone it instead."}
            )
        return templates.template_update(template=instance, by=self.context["request"].user, **validated_data)


class CloneSerializer(serializers.Serializer):
    name = serializers.CharField(max_length=80)
    department = DepartmentField(
        allow_null=True, required=False, help_text="Where the copy goes; the same when left out."
    )


class TemplateRevisionSerializer(serializers.ModelSerializer):
    created_by = serializers.SlugRelatedField(slug_field="username", read_only=True)

    class Meta:
        model = MigrationTemplateRevision
        fields = ["number", "document", "sha256", "created_by", "created_at"]


class TemplateViewSet(ETagMixin, OwnedViewSet):
    queryset = MigrationTemplate.objects.select_related(
        "department",
        "default_driver_set",
        "resource_allocation_profile",
        "network_profile",
        "post_migration_script",
    )
    serializer_class = TemplateSerializer
    filterset_class = TemplateFilter
    filter_backends = [DjangoFilterBackend]
    write_role = Role.ADMIN

    def perform_destroy(self, instance):
        templates.template_delete(template=instance, by=self.request.user)

    @extend_schema(request=CloneSerializer, responses={201: TemplateSerializer})
    @action(detail=True, methods=["post"])
    def clone(self, request, pk=None):
        source = get_object_or_404(self.get_queryset(), pk=pk)  # whoever sees a template may copy it
        asked = CloneSerializer(data=request.data, context=self.get_serializer_context())
        asked.is_valid(raise_exception=True)
        department = asked.validated_data.get("department", source.department)
        made = templates.template_clone(
            template=source, by=request.user, department=department, name=asked.validated_data["name"]
        )
        return Response(self.get_serializer(made).data, status=201)

    @extend_schema(request=None, responses=TemplateSerializer)
    @action(detail=True, methods=["post"])
    def archive(self, request, pk=None):
        row = templates.template_archive(template=self.get_object(), by=request.user)
        return Response(self.get_serializer(row).data)

    @extend_schema(request=None, responses=TemplateSerializer)
    @action(detail=True, methods=["post"])
    def restore(self, request, pk=None):
        row = templates.template_restore(template=self.get_object(), by=request.user)
        return Response(self.get_serializer(row).data)

    @extend_schema(responses=OpenApiTypes.OBJECT, filters=False)
    @action(detail=True, methods=["get"])
    def document(self, request, pk=None):
        """The template as a document: what `manage.py merge --template` reads."""
        return Response(self.get_object().document())

    @extend_schema(responses=TemplateRevisionSerializer(many=True), filters=False)
    @action(detail=True, methods=["get"], pagination_class=None)
    def revisions(self, request, pk=None):
        rows = self.get_object().revisions.select_related("created_by")
        return Response(TemplateRevisionSerializer(rows, many=True).data)
