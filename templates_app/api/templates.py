"""`/api/v1/templates/`: templates, their documents and revisions."""

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.response import Response

from personas.api.base import DepartmentField, ETagMixin, KnownFields, ScopedRelatedField
from personas.api.fields import ChecksField, DocumentField, MapField, ScriptsField, WordsField, department_for
from personas.api.rows import ArchivableMixin, RowViewSet
from personas.models import DriverSet, NetworkProfile, Persona, ResourceProfile, Script
from templates_app.filters import TemplateFilter
from templates_app.models import MigrationTemplate, MigrationTemplateRevision
from templates_app.services import templates
from templates_app.services.template_document import template_export, template_import


class TemplateSerializer(KnownFields, serializers.ModelSerializer):
    department = DepartmentField(
        required=False, allow_null=True, help_text="Empty: the organisation's, seen by all."
    )
    persona = ScopedRelatedField(
        queryset=Persona.objects.all(),
        allow_null=True,
        required=False,
        help_text="PersonaID; when a launch names none.",
    )
    default_driver_set = ScopedRelatedField(queryset=DriverSet.objects.all(), allow_null=True, required=False)
    resource_allocation_profile = ScopedRelatedField(
        queryset=ResourceProfile.objects.all(), allow_null=True, required=False
    )
    network_profile = ScopedRelatedField(
        queryset=NetworkProfile.objects.all(), allow_null=True, required=False
    )
    post_migration_script = ScopedRelatedField(queryset=Script.objects.all(), allow_null=True, required=False)
    script_entries = ScriptsField(required=False)
    kernel_modules = WordsField(required=False)
    packages = WordsField(required=False)
    monitoring_tags = MapField(required=False)
    acceptance_checks = ChecksField(required=False)
    unset = WordsField(required=False, help_text="Settings that the template un-says.")
    locks = WordsField(required=False, help_text="Settings that no persona or override may change.")
    revision = serializers.IntegerField(read_only=True)
    document = DocumentField(read_only=True, help_text="The template in the words of the vocabulary.")

    class Meta:
        model = MigrationTemplate
        exclude: list = []
        read_only_fields = ["archived_at"]
        validators: list = []  # the row's own clean() tells which other row has the name
        extra_kwargs = {"id": {"help_text": "TemplateID."}}

    def create(self, validated):
        user = self.context["request"].user
        return templates.template_create(by=user, department=department_for(user, validated), **validated)

    def update(self, template, validated):
        return templates.template_update(template=template, by=self.context["request"].user, **validated)


class TemplateDocumentSerializer(serializers.Serializer):
    name = serializers.CharField()
    slug = serializers.CharField(required=False)
    description = serializers.CharField(required=False, allow_blank=True)
    source_kind = serializers.CharField(required=False)
    target_kind = serializers.CharField(required=False)
    persona = serializers.CharField(required=False, allow_null=True, help_text="Slug.")
    settings = DocumentField(required=False)


class TemplateImportSerializer(serializers.Serializer):
    department = DepartmentField(required=False, allow_null=True)
    document = serializers.JSONField(help_text="What `document/` gave.")


class TemplateRevisionSerializer(serializers.ModelSerializer):
    document = DocumentField()
    created_by = serializers.SlugRelatedField(slug_field="username", read_only=True)

    class Meta:
        model = MigrationTemplateRevision
        fields = ["number", "document", "sha256", "created_by", "created_at"]


class TemplateViewSet(ETagMixin, ArchivableMixin, RowViewSet):
    queryset = MigrationTemplate.objects.select_related(
        "persona",
        "default_driver_set",
        "resource_allocation_profile",
        "network_profile",
        "post_migration_script",
    )
    serializer_class = TemplateSerializer
    filterset_class = TemplateFilter

    def clone_row(self, template, **asked):
        return templates.template_clone(template=template, **asked)

    @extend_schema(responses=TemplateDocumentSerializer, filters=False)
    @action(detail=True, methods=["get"])
    def document(self, request, pk=None):
        """The template as a document that `import/` takes, and (name and settings) `manage.py merge`."""
        return Response(template_export(self.get_object()))

    @extend_schema(request=TemplateImportSerializer, responses={201: TemplateSerializer})
    @action(detail=False, methods=["post"], url_path="import", url_name="import")
    def import_document(self, request):
        given = self._asked(TemplateImportSerializer)
        department = department_for(request.user, given)
        made = template_import(data=given["document"], by=request.user, department=department)
        return Response(self.get_serializer(made).data, status=status.HTTP_201_CREATED)

    @extend_schema(responses=TemplateRevisionSerializer(many=True), filters=False)
    @action(detail=True, methods=["get"], pagination_class=None)
    def revisions(self, request, pk=None):
        """Every document that it was, the newest first."""
        rows = self.get_object().revisions.select_related("created_by")
        return Response(TemplateRevisionSerializer(rows, many=True).data)

    def _asked(self, serializer) -> dict:
        asked = serializer(data=self.request.data, context=self.get_serializer_context())
        asked.is_valid(raise_exception=True)
        return dict(asked.validated_data)
