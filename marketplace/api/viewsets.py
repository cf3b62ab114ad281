"""`/api/v1/publishers/`, `listings/`, `releases/`, `installations/`."""

from django.http import HttpResponse
from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, status, viewsets
from rest_framework.decorators import action
from rest_framework.response import Response

from marketplace.api import serializers
from marketplace.filters import InstallationFilter, ListingFilter
from marketplace.models import Installation, Listing, Publisher, Release
from marketplace.services import installing, publishing
from marketplace.services.catalogue import listings_told
from personas.models import Role


class Scoped(viewsets.GenericViewSet):
    write_role = Role.ADMIN
    filter_backends = [DjangoFilterBackend]

    def get_queryset(self):
        if getattr(self, "swagger_fake_view", False):
            return super().get_queryset().none()
        return super().get_queryset().visible_to(self.request.user)


class PublisherViewSet(mixins.CreateModelMixin, mixins.ListModelMixin, mixins.RetrieveModelMixin, Scoped):
    """The publishers of one's own departments, and the organisation's."""

    queryset = Publisher.objects.all()
    serializer_class = serializers.PublisherSerializer


class ListingViewSet(
    mixins.CreateModelMixin,
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    mixins.UpdateModelMixin,
    Scoped,
):
    queryset = Listing.objects.all()
    serializer_class = serializers.ListingSerializer
    filterset_class = ListingFilter
    http_method_names = ["get", "post", "patch", "head", "options"]

    def get_queryset(self):
        return listings_told(super().get_queryset())

    @extend_schema(methods=["get"], responses=serializers.ReleaseSerializer(many=True), filters=False)
    @extend_schema(
        methods=["post"],
        request=serializers.ReleaseSerializer,
        responses={201: serializers.ReleaseSerializer},
        description="Publishes the listing's persona as it is now. The same version again: 201 with the same release "
        "when the bytes are the same, else 409.",
    )
    @action(detail=True, methods=["get", "post"], pagination_class=None)
    def releases(self, request, pk=None):
        listing = self.get_object()
        context = self.get_serializer_context()
        if request.method == "GET":
            rows = listing.releases.select_related("published_by")
            return Response(serializers.ReleaseSerializer(rows, many=True, context=context).data)
        asked = serializers.ReleaseSerializer(data=request.data, context=context)
        asked.is_valid(raise_exception=True)
        release = publishing.release_publish(listing=listing, by=request.user, **asked.validated_data)
        told = serializers.ReleaseSerializer(release, context=context).data
        return Response(told, status=status.HTTP_201_CREATED)


class ReleaseViewSet(mixins.RetrieveModelMixin, Scoped):
    queryset = Release.objects.select_related("listing__publisher", "published_by")
    serializer_class = serializers.ReleaseSerializer

    @extend_schema(responses={(200, "application/json"): OpenApiTypes.BINARY})
    @action(detail=True, methods=["get"])
    def bundle(self, request, pk=None):
        """The very bytes; their SHA-256 is the ETag."""
        release = self.get_object()
        name = f"{release.listing.publisher.slug}-{release.listing.slug}-{release.version}.json"
        return HttpResponse(
            bytes(release.bundle),
            content_type="application/json",
            headers={"ETag": f'"{release.sha256}"', "Content-Disposition": f'attachment; filename="{name}"'},
        )

    @extend_schema(request=serializers.YankSerializer, responses=serializers.ReleaseSerializer)
    @action(detail=True, methods=["post"])
    def yank(self, request, pk=None):
        """No new installations; those that are there go on."""
        release = self.get_object()
        asked = serializers.YankSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        row = publishing.release_yank(release=release, by=request.user, reason=asked.validated_data["reason"])
        return Response(self.get_serializer(row).data)


class InstallationViewSet(
    mixins.CreateModelMixin,
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    mixins.DestroyModelMixin,
    Scoped,
):
    queryset = Installation.objects.select_related("release", "department")
    serializer_class = serializers.InstallationSerializer
    filterset_class = InstallationFilter

    def perform_destroy(self, installation):
        installing.installation_remove(installation=installation, by=self.request.user)

    @extend_schema(
        request=serializers.InstallationUpdateSerializer, responses=serializers.InstallationSerializer
    )
    @action(detail=True, methods=["post"], url_path="update", url_name="update")
    def move(self, request, pk=None):
        """To another release of the same listing; the persona stays the same row."""
        installation = self.get_object()
        asked = serializers.InstallationUpdateSerializer(
            data=request.data, context=self.get_serializer_context()
        )
        asked.is_valid(raise_exception=True)
        row = installing.installation_update(
            installation=installation, by=request.user, **asked.validated_data
        )
        return Response(self.get_serializer(row).data)
