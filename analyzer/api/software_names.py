"""`/api/v1/software-names/`: other names for software, as administrators know them."""

from django_filters.rest_framework import DjangoFilterBackend
from rest_framework import serializers

from analyzer.filters import SoftwareNameFilter
from analyzer.models import SoftwareName
from analyzer.services.software_names import (
    software_name_create,
    software_name_delete,
    software_name_update,
)
from personas.api.base import DepartmentField, OwnedViewSet


class SoftwareNameSerializer(serializers.ModelSerializer):
    """The department's own row counts before the organisation's."""

    department = DepartmentField(allow_null=True, default=None)

    class Meta:
        model = SoftwareName
        fields = ["id", "department", "name", "means", "created_at", "updated_at"]
        validators = []  # the service checks the whole row

    def create(self, validated_data):
        return software_name_create(by=self.context["request"].user, **validated_data)

    def update(self, instance, validated_data):
        asked = {name: validated_data[name] for name in ("name", "means") if name in validated_data}
        return software_name_update(row=instance, by=self.context["request"].user, **asked)


class SoftwareNameViewSet(OwnedViewSet):
    queryset = SoftwareName.objects.order_by("name")
    serializer_class = SoftwareNameSerializer
    filterset_class = SoftwareNameFilter
    filter_backends = [DjangoFilterBackend]

    def perform_destroy(self, instance):
        software_name_delete(row=instance, by=self.request.user)
