"""`/api/v1/sources/`"""

from django.db.models import Count
from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.response import Response
from rest_framework.reverse import reverse

from analyzer.api.serializers import ProbeSerializer, SourceSerializer
from analyzer.filters import SourceFilter
from analyzer.models import SourceEndpoint
from analyzer.services.discovery import source_discover_request
from analyzer.services.sources import source_check, source_delete
from personas.api.base import OwnedViewSet
from personas.models import Role


class SourceViewSet(OwnedViewSet):
    queryset = SourceEndpoint.objects.annotate(machine_count=Count("machines")).order_by("name")
    serializer_class = SourceSerializer
    filterset_class = SourceFilter
    filter_backends = [DjangoFilterBackend]

    @property
    def write_role(self):
        return Role.OPERATOR if self.action in ("discover", "check") else Role.ADMIN

    def perform_destroy(self, instance):
        source_delete(source=instance, by=self.request.user)

    @extend_schema(request=None, responses={202: SourceSerializer}, summary="Look for machines; in the background")
    @action(detail=True, methods=["post"])
    def discover(self, request, pk=None):
        source = self.get_object()
        source_discover_request(source=source, by=request.user)
        location = reverse("source-detail", args=[source.pk], request=request)
        data = self.get_serializer(self.get_object()).data
        return Response(data, status=status.HTTP_202_ACCEPTED, headers={"Location": location})

    @extend_schema(request=None, responses=ProbeSerializer, summary="Does it answer?")
    @action(detail=True, methods=["post"])
    def check(self, request, pk=None):
        return Response({"answers": source_check(source=self.get_object(), by=request.user)})
