"""Lists below one machine: `/api/v1/machines/{id}/packages/`, `services/`, `recommendations/`."""

from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import generics, status
from rest_framework.response import Response

from analyzer.api.serializers import (
    PackageSerializer,
    RecommendationDetailSerializer,
    RecommendationSerializer,
    ServiceSerializer,
)
from analyzer.filters import PackageFilter, RecommendationFilter, ServiceFilter
from analyzer.models import Package, Recommendation, Service, VirtualMachine
from analyzer.permissions import OperatorWrites
from analyzer.services.recommendations import recommendation_refresh
from analyzer.services.scans import facts_of, newest_readable


class OfMachine(OperatorWrites, generics.ListAPIView):
    filter_backends = [DjangoFilterBackend]

    def get_queryset(self):
        if getattr(self, "swagger_fake_view", False):
            return super().get_queryset().none()
        return super().get_queryset().filter(vm=self.machine())

    def machine(self) -> VirtualMachine:
        """404 for a machine that the reader may not see."""
        return generics.get_object_or_404(
            VirtualMachine.objects.visible_to(self.request.user), pk=self.kwargs["pk"]
        )


@extend_schema_view(
    get=extend_schema(summary="Installed software, on purpose first", operation_id="machines_packages_list")
)
class PackagesOfMachine(OfMachine):
    queryset = Package.objects.all()
    serializer_class = PackageSerializer
    filterset_class = PackageFilter


@extend_schema_view(
    get=extend_schema(
        summary="Services, and whether they start with the machine", operation_id="machines_services_list"
    )
)
class ServicesOfMachine(OfMachine):
    queryset = Service.objects.all()
    serializer_class = ServiceSerializer
    filterset_class = ServiceFilter


class RecommendationsOfMachine(OfMachine):
    queryset = Recommendation.objects.all()
    serializer_class = RecommendationSerializer
    filterset_class = RecommendationFilter

    @extend_schema(summary="Suggestions, newest first", operation_id="machines_recommendations_list")
    def get(self, request, *args, **kwargs):
        return super().get(request, *args, **kwargs)

    @extend_schema(
        request=None,
        responses={201: RecommendationDetailSerializer},
        summary="Suggest again, e.g. after the personas have changed",
        operation_id="machines_recommendations_create",
    )
    def post(self, request, *args, **kwargs):
        scan = newest_readable(self.machine())
        made = recommendation_refresh(scan=scan, facts=facts_of(scan), by=request.user)
        told = RecommendationDetailSerializer(made, context=self.get_serializer_context())
        return Response(told.data, status=status.HTTP_201_CREATED)
