"""`/api/v1/machines/`: the inventory, and what is done to one machine."""

from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import mixins, status, viewsets
from rest_framework.decorators import action
from rest_framework.response import Response
from rest_framework.reverse import reverse

from analyzer.api.csv_parser import CsvParser
from analyzer.api.serializers import (
    ChartSerializer,
    MachineDetailSerializer,
    MachineSerializer,
    PersonaDraftSerializer,
    RhythmsSerializer,
    ScanSerializer,
    UsageStoredSerializer,
    UsageSummariesSerializer,
    summary_json,
)
from analyzer.api.sizing import SizingSerializer, SizingWishSerializer
from analyzer.api.visible import VisibleRows
from analyzer.filters import MachineFilter
from analyzer.models import VirtualMachine
from analyzer.models.usage import Metric
from analyzer.permissions import OperatorWrites
from analyzer.services.machines import persona_from_vm, vm_forget
from analyzer.services.scans import facts_of, newest_readable, scan_start
from analyzer.services.sizing import chart_with_size, size_told, sizing_of
from analyzer.services.usage import usage_rhythms, usage_summary, usage_upload
from personas.errors import BadInput
from personas.models import Role

METRIC = OpenApiParameter("metric", enum=Metric.values, required=True)


class MachineViewSet(
    OperatorWrites,
    VisibleRows,
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    mixins.UpdateModelMixin,
    mixins.DestroyModelMixin,
    viewsets.GenericViewSet,
):
    """Machines come from their sources; what a source does not know (vCPUs, memory, tags) can be told here."""

    queryset = VirtualMachine.objects.with_overview().prefetch_related("disks", "nics")
    filterset_class = MachineFilter
    filter_backends = [DjangoFilterBackend]
    http_method_names = ["get", "patch", "post", "delete", "head", "options"]

    @property
    def write_role(self):
        return Role.ADMIN if self.action == "destroy" else Role.OPERATOR

    def get_serializer_class(self):
        return MachineDetailSerializer if self.action == "retrieve" else MachineSerializer

    def perform_destroy(self, instance):
        vm_forget(vm=instance, by=self.request.user)

    @extend_schema(request=None, responses={202: ScanSerializer}, summary="Read the disk; in the background")
    @action(detail=True, methods=["post"])
    def scan(self, request, pk=None):
        scan = scan_start(vm=self.get_object(), by=request.user)
        location = reverse("scan-detail", args=[scan.pk], request=request)
        return Response(
            ScanSerializer(scan).data, status=status.HTTP_202_ACCEPTED, headers={"Location": location}
        )

    @extend_schema(
        responses=PersonaDraftSerializer, summary="A persona drafted from this machine; nothing is stored"
    )
    @action(detail=True, url_path="persona-draft")
    def persona_draft(self, request, pk=None):
        vm = self.get_object()
        return Response(persona_from_vm(vm, facts_of(newest_readable(vm))))

    @extend_schema(responses=UsageSummariesSerializer, summary="Percentiles of the last 30 days")
    @action(detail=True)
    def usage(self, request, pk=None):
        return Response(
            {metric: summary_json(told) for metric, told in usage_summary(self.get_object()).items()}
        )

    @extend_schema(
        parameters=[SizingWishSerializer],
        responses=SizingSerializer,
        summary="The size that its usage asks for",
    )
    @action(detail=True)
    def sizing(self, request, pk=None):
        wanted = SizingWishSerializer(data=request.query_params)
        wanted.is_valid(raise_exception=True)
        found = sizing_of(self.get_object(), **wanted.validated_data)
        return Response({column: size_told(each) for column, each in found.items()})

    @extend_schema(responses=RhythmsSerializer, summary="By day, by week, bursts, idle, trend")
    @action(detail=True)
    def rhythm(self, request, pk=None):
        found = usage_rhythms(self.get_object())
        return Response({name: each.as_dict() | {"words": each.words()} for name, each in found.items()})

    @extend_schema(parameters=[METRIC], responses=ChartSerializer, summary="One metric, thinned for a chart")
    @action(detail=True, url_path="usage/series")
    def usage_series(self, request, pk=None):
        metric = request.query_params.get("metric", "")
        if metric not in Metric.values:
            raise BadInput({"metric": [f"is one of {', '.join(Metric.values)}"]})
        return Response(chart_with_size(self.get_object(), metric))

    @extend_schema(
        request={"text/csv": {"type": "string"}},
        responses=UsageStoredSerializer,
        summary="Upload usage as CSV",
    )
    @action(detail=True, methods=["post"], url_path="usage/csv", parser_classes=[CsvParser])
    def usage_csv(self, request, pk=None):
        content = request.data if isinstance(request.data, bytes) else b""
        return Response({"stored": usage_upload(vm=self.get_object(), content=content, by=request.user)})
