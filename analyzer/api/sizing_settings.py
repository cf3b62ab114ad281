"""`/api/v1/departments/{id}/sizing/`: how a department sizes its machines."""

from drf_spectacular.utils import extend_schema
from rest_framework import generics, serializers
from rest_framework.response import Response

from analyzer.models import SizingSettings
from analyzer.permissions import OperatorWrites
from analyzer.services.sizing_settings import SETTINGS, sizing_settings_set, standard_values
from personas.api.base import KnownFields
from personas.models import Department, Role


class SizingSettingsSerializer(KnownFields, serializers.ModelSerializer):
    """null is the standard, which `standard` tells."""

    standard = serializers.DictField(child=serializers.FloatField(), read_only=True)

    class Meta:
        model = SizingSettings
        fields = [*SETTINGS, "standard"]


class SizingSettingsOfDepartment(OperatorWrites, generics.GenericAPIView):
    queryset = Department.objects.all()
    serializer_class = SizingSettingsSerializer
    write_role = Role.ADMIN

    def department(self) -> Department:
        return generics.get_object_or_404(
            Department.objects.visible_to(self.request.user), pk=self.kwargs["pk"]
        )

    @extend_schema(summary="What is decided about sizes", operation_id="departments_sizing_retrieve")
    def get(self, request, pk):
        return Response(self._told(self.department()))

    @extend_schema(
        summary="Decide some of it; null is the standard", operation_id="departments_sizing_update"
    )
    def patch(self, request, pk):
        department = self.department()
        asked = self.get_serializer(data=request.data, partial=True)
        asked.is_valid(raise_exception=True)
        sizing_settings_set(department=department, by=request.user, **asked.validated_data)
        return Response(self._told(department))

    def _told(self, department: Department) -> dict:
        row = SizingSettings.objects.filter(department=department).first() or SizingSettings(
            department=department
        )
        return {name: getattr(row, name) for name in SETTINGS} | {"standard": standard_values()}
