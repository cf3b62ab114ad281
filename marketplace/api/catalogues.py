"""`/api/v1/catalogues/`: feeds of other instances."""

from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import mixins, serializers
from rest_framework.decorators import action
from rest_framework.response import Response

from marketplace.api.scoped import Scoped
from marketplace.models import Catalogue
from marketplace.services import catalogues
from personas.api.base import DepartmentField
from personas.api.fields import department_for


@extend_schema_field(
    {"type": "array", "items": {"type": "object", "additionalProperties": {"type": "string"}}}
)
class RefusedField(serializers.JSONField):
    pass


class CatalogueSerializer(serializers.ModelSerializer):
    department = DepartmentField(
        required=False, allow_null=True, help_text="Who sees what it offers; null: all."
    )
    refused = RefusedField(read_only=True, help_text="What of the newest feed was not taken over, and why.")

    class Meta:
        model = Catalogue
        fields = [
            "id", "name", "url", "department", "first_key", "number", "fetched_at", "expires_at", "problem", "refused",
        ]  # fmt: skip
        read_only_fields = ["number", "fetched_at", "expires_at", "problem"]
        validators: list = []

    def create(self, validated):
        user = self.context["request"].user
        return catalogues.catalogue_create(by=user, department=department_for(user, validated), **validated)


class CatalogueViewSet(
    mixins.CreateModelMixin,
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    mixins.DestroyModelMixin,
    Scoped,
):
    queryset = Catalogue.objects.all()
    serializer_class = CatalogueSerializer

    def perform_destroy(self, catalogue):
        catalogues.catalogue_remove(catalogue=catalogue, by=self.request.user)

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def refresh(self, request, pk=None):
        """Asks the other instance now. 409 with the reason when what it says does not hold."""
        row = catalogues.catalogue_refresh(catalogue=self.get_object(), by=request.user)
        return Response(self.get_serializer(row).data)
