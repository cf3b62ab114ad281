"""`/api/v1/usage/`: pushed by monitoring, read back day by day."""

from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, status, viewsets
from rest_framework.response import Response

from analyzer.api.serializers import UsagePushSerializer, UsageSeriesSerializer, UsageStoredSerializer
from analyzer.api.visible import VisibleRows
from analyzer.filters import UsageFilter
from analyzer.models import UsageSeries
from analyzer.permissions import OperatorWrites
from analyzer.services.usage import usage_push


class UsageViewSet(OperatorWrites, VisibleRows, mixins.ListModelMixin, viewsets.GenericViewSet):
    queryset = UsageSeries.objects.all()
    serializer_class = UsageSeriesSerializer
    filterset_class = UsageFilter
    filter_backends = [DjangoFilterBackend]

    @extend_schema(
        request=UsagePushSerializer,
        responses={200: UsageStoredSerializer},
        summary="Push values of one metric; the same push again changes nothing",
    )
    def create(self, request):
        asked = UsagePushSerializer(data=request.data, context=self.get_serializer_context())
        asked.is_valid(raise_exception=True)
        stored = usage_push(by=request.user, **asked.validated_data)
        return Response({"stored": {asked.validated_data["metric"]: stored}}, status=status.HTTP_200_OK)
