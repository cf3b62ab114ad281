"""`/api/v1/sources/{id}/prometheus/`: who knows the use of its machines."""

from drf_spectacular.utils import extend_schema
from rest_framework import generics, serializers, status
from rest_framework.response import Response

from analyzer.models import SourceEndpoint, UsageProvider
from analyzer.permissions import OperatorWrites
from analyzer.services.prometheus import usage_collect_now, usage_provider_remove, usage_provider_set
from personas.api.base import KnownFields
from personas.models import Role


class UsageProviderSerializer(KnownFields, serializers.ModelSerializer):
    """`label` left empty is the exporter's own: instance, or domain."""

    label = serializers.CharField(max_length=100, default="", allow_blank=True)

    class Meta:
        model = UsageProvider
        fields = ["url", "exporter", "label", "part", "collected_until", "collected_at", "error", "report"]
        read_only_fields = ["collected_until", "collected_at", "error", "report"]


class UsageReportSerializer(serializers.Serializer):
    values = serializers.IntegerField()
    machines = serializers.IntegerField()
    left_out = serializers.ListField(
        child=serializers.CharField(), help_text="Labels that mean no machine of the source, or several."
    )


class OfSource(OperatorWrites, generics.GenericAPIView):
    queryset = UsageProvider.objects.all()
    serializer_class = UsageProviderSerializer

    def source(self) -> SourceEndpoint:
        """404 for a source that the reader may not see."""
        return generics.get_object_or_404(
            SourceEndpoint.objects.visible_to(self.request.user), pk=self.kwargs["pk"]
        )


class PrometheusOfSource(OfSource):
    write_role = Role.ADMIN

    @extend_schema(summary="Who knows the use of its machines", operation_id="sources_prometheus_retrieve")
    def get(self, request, pk):
        return Response(
            self.get_serializer(generics.get_object_or_404(UsageProvider, source=self.source())).data
        )

    @extend_schema(
        summary="Say whom to ask, every quarter of an hour", operation_id="sources_prometheus_update"
    )
    def put(self, request, pk):
        source = self.source()
        asked = self.get_serializer(data=request.data)
        asked.is_valid(raise_exception=True)
        provider = usage_provider_set(source=source, by=request.user, **asked.validated_data)
        return Response(self.get_serializer(provider).data)

    @extend_schema(summary="Ask no more; what is stored stays", operation_id="sources_prometheus_destroy")
    def delete(self, request, pk):
        usage_provider_remove(source=self.source(), by=request.user)
        return Response(status=status.HTTP_204_NO_CONTENT)


class PrometheusCollect(OfSource):
    @extend_schema(
        request=None,
        responses=UsageReportSerializer,
        summary="Ask now for what is new",
        operation_id="sources_prometheus_collect",
    )
    def post(self, request, pk):
        return Response(usage_collect_now(source=self.source(), by=request.user))
