"""`/api/v1/scans/`: what was read, when, and the facts."""

from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.utils import extend_schema
from rest_framework import viewsets
from rest_framework.decorators import action
from rest_framework.response import Response

from analyzer.api.serializers import ScanChangesSerializer, ScanDetailSerializer, ScanSerializer
from analyzer.api.visible import VisibleRows
from analyzer.filters import ScanFilter
from analyzer.models import Scan
from analyzer.services.scan_changes import scan_before, scan_changes


class ScanViewSet(VisibleRows, viewsets.ReadOnlyModelViewSet):
    queryset = Scan.objects.all()
    filterset_class = ScanFilter
    filter_backends = [DjangoFilterBackend]

    def get_queryset(self):
        rows = super().get_queryset()
        return (
            rows if self.action in ("retrieve", "changes") else rows.defer("facts")
        )  # megabytes that a list does not show

    def get_serializer_class(self):
        return ScanDetailSerializer if self.action == "retrieve" else ScanSerializer

    @extend_schema(responses=ScanChangesSerializer, summary="What changed since the scan before")
    @action(detail=True)
    def changes(self, request, pk=None):
        scan = self.get_object()
        before = scan_before(scan)
        told = {"since": before and before.pk, "changes": [each.as_dict() for each in scan_changes(scan)]}
        return Response(told)
