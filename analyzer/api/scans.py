"""`/api/v1/scans/`: what was read, when, and the facts."""

from django_filters.rest_framework import DjangoFilterBackend
from rest_framework import viewsets

from analyzer.api.serializers import ScanDetailSerializer, ScanSerializer
from analyzer.api.visible import VisibleRows
from analyzer.filters import ScanFilter
from analyzer.models import Scan


class ScanViewSet(VisibleRows, viewsets.ReadOnlyModelViewSet):
    queryset = Scan.objects.all()
    filterset_class = ScanFilter
    filter_backends = [DjangoFilterBackend]

    def get_queryset(self):
        rows = super().get_queryset()
        return rows if self.action == "retrieve" else rows.defer("facts")  # megabytes that a list does not show

    def get_serializer_class(self):
        return ScanDetailSerializer if self.action == "retrieve" else ScanSerializer
