"""`/api/v1/sources/`"""

from django.db.models import Count
from django.http import HttpResponse
from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.parsers import MultiPartParser
from rest_framework.response import Response
from rest_framework.reverse import reverse

from analyzer.api.inventory_serializers import InventoryFileSerializer, InventoryReportSerializer
from analyzer.api.serializers import ProbeSerializer, SourceSerializer
from analyzer.api.ssh import (
    SshAccessSerializer,
    SshConfirmedSerializer,
    SshConfirmSerializer,
    SshStateSerializer,
    ssh_state,
)
from analyzer.filters import SourceFilter
from analyzer.importers.read import MAX_BYTES
from analyzer.models import SourceEndpoint
from analyzer.services.discovery import source_discover_request
from analyzer.services.inventory import inventory_import
from analyzer.services.inventory_export import EXPORTS, source_lines
from analyzer.services.sources import source_check, source_delete
from analyzer.services.ssh_access import ssh_access_set, ssh_hosts_confirm
from personas.api.base import OwnedViewSet
from personas.errors import BadInput
from personas.models import Role


class SourceViewSet(OwnedViewSet):
    queryset = SourceEndpoint.objects.annotate(machine_count=Count("machines")).order_by("name")
    serializer_class = SourceSerializer
    filterset_class = SourceFilter
    filter_backends = [DjangoFilterBackend]

    @property
    def write_role(self):
        return Role.OPERATOR if self.action in ("discover", "check", "inventory") else Role.ADMIN

    def perform_destroy(self, instance):
        source_delete(source=instance, by=self.request.user)

    @extend_schema(
        request=None, responses={202: SourceSerializer}, summary="Look for machines; in the background"
    )
    @action(detail=True, methods=["post"])
    def discover(self, request, pk=None):
        source = self.get_object()
        source_discover_request(source=source, by=request.user)
        location = reverse("source-detail", args=[source.pk], request=request)
        data = self.get_serializer(self.get_object()).data
        return Response(data, status=status.HTTP_202_ACCEPTED, headers={"Location": location})

    @extend_schema(
        request=InventoryFileSerializer,
        responses=InventoryReportSerializer,
        summary="Import an inventory file; with dry_run only say what it would do",
    )
    @action(detail=True, methods=["post"], parser_classes=[MultiPartParser])
    def inventory(self, request, pk=None):
        source = self.get_object()
        asked = InventoryFileSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        told = dict(asked.validated_data)
        data = told.pop("file").read(
            MAX_BYTES + 1
        )  # one more than allowed: the service tells that it is too large
        return Response(inventory_import(source=source, data=data, by=request.user, **told))

    @extend_schema(
        parameters=[OpenApiParameter("as", enum=sorted(EXPORTS), description="Default: csv")],
        responses={(200, "text/csv"): str},
        summary="Its machines as a CSV file that other tools read",
        filters=False,
    )
    @action(detail=True, methods=["get"])
    def export(self, request, pk=None):
        source, file_format = self.get_object(), request.query_params.get("as", "csv")
        if file_format not in EXPORTS:
            raise BadInput({"as": [f"is one of {', '.join(sorted(EXPORTS))}"]})
        return HttpResponse(
            "".join(source_lines(source, file_format)), content_type="text/csv; charset=utf-8"
        )

    @extend_schema(
        responses=SshStateSerializer, summary="Who logs in to its running machines, and their keys"
    )
    @action(detail=True, methods=["get"], filter_backends=[], pagination_class=None)
    def ssh(self, request, pk=None):
        return Response(ssh_state(self.get_object()))

    @extend_schema(
        request=SshAccessSerializer,
        responses=SshStateSerializer,
        summary="Say which machines, and how to log in",
    )
    @ssh.mapping.put
    def ssh_put(self, request, pk=None):
        source = self.get_object()
        asked = SshAccessSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        ssh_access_set(source=source, by=request.user, **asked.validated_data)
        return Response(ssh_state(source))

    @extend_schema(
        request=SshConfirmSerializer,
        responses=SshConfirmedSerializer,
        summary="Trust the keys that a person has compared",
    )
    @action(detail=True, methods=["post"], url_path="ssh/confirm", url_name="ssh-confirm")
    def ssh_confirm(self, request, pk=None):
        source = self.get_object()
        asked = SshConfirmSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        return Response(
            {"confirmed": ssh_hosts_confirm(source=source, by=request.user, **asked.validated_data)}
        )

    @extend_schema(request=None, responses=ProbeSerializer, summary="Does it answer?")
    @action(detail=True, methods=["post"])
    def check(self, request, pk=None):
        return Response({"answers": source_check(source=self.get_object(), by=request.user)})
