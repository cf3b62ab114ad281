"""`/api/v1/publishers/`, `listings/`, `releases/`, `installations/`."""

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, status
from rest_framework.decorators import action
from rest_framework.response import Response

from marketplace.api import serializers
from marketplace.api.keys import WithFiles, WithKeys
from marketplace.api.listing_sales import ListingSales
from marketplace.api.moderation import WithModeration
from marketplace.api.proof import WithProof
from marketplace.api.scoped import Scoped
from marketplace.filters import InstallationFilter, ListingFilter, SubmissionFilter
from marketplace.models import Installation, Listing, Publisher, Release, Submission
from marketplace.services import forks, installing, previews, publishing, submissions
from marketplace.services.catalogue import listings_told
from marketplace.services.entitlements import require_readable


class PublisherViewSet(
    WithKeys,
    WithProof,
    mixins.CreateModelMixin,
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    mixins.UpdateModelMixin,
    Scoped,
):
    """The publishers of one's own departments, and the organisation's."""

    queryset = Publisher.objects.all()
    serializer_class = serializers.PublisherSerializer
    http_method_names = ["get", "post", "patch", "head", "options"]


class ListingViewSet(
    ListingSales,
    WithModeration,
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
        request=serializers.ReleaseAskedSerializer,
        responses={201: serializers.ReleaseSerializer, 202: serializers.SubmissionSerializer},
        description="Publishes the listing's persona as it is now. The same version again: 201 with the same release "
        "when the bytes are the same, else 409. In a namespace of four eyes it is handed in: 202.",
    )
    @action(detail=True, methods=["get", "post"], pagination_class=None)
    def releases(self, request, pk=None):
        listing = self.get_object()
        context = self.get_serializer_context()
        if request.method == "GET":
            rows = listing.releases.select_related("published_by")
            return Response(serializers.ReleaseSerializer(rows, many=True, context=context).data)
        asked = serializers.ReleaseAskedSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        if listing.publisher.needs_second_person:
            submission = submissions.submission_create(
                listing=listing, by=request.user, **asked.validated_data
            )
            told = serializers.SubmissionSerializer(submission).data
            return Response(told, status=status.HTTP_202_ACCEPTED)
        release = publishing.release_publish(listing=listing, by=request.user, **asked.validated_data)
        told = serializers.ReleaseSerializer(release, context=context).data
        return Response(told, status=status.HTTP_201_CREATED)

    @extend_schema(
        request=serializers.ReleaseAskedSerializer, responses=serializers.FindingSerializer(many=True)
    )
    @action(detail=True, methods=["post"], pagination_class=None, filterset_class=None)
    def check(self, request, pk=None):
        """What the checks before publishing would say; nothing is written."""
        asked = serializers.ReleaseAskedSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        found = publishing.release_findings(
            listing=self.get_object(), by=request.user, **asked.validated_data
        )
        told = [finding._asdict() for finding in found]
        return Response(serializers.FindingSerializer(told, many=True).data)


class SubmissionViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, Scoped):
    """What waits for a second person, and what became of it. `POST listings/{id}/releases/` hands in."""

    queryset = Submission.objects.select_related("author", "decided_by", "listing__publisher")
    serializer_class = serializers.SubmissionSerializer
    filterset_class = SubmissionFilter

    def get_serializer_class(self):
        is_detail = self.action == "retrieve"
        return serializers.SubmissionDetailSerializer if is_detail else serializers.SubmissionSerializer

    @extend_schema(request=None, responses=serializers.ReleaseSerializer)
    @action(detail=True, methods=["post"])
    def approve(self, request, pk=None):
        """Publishes the very bytes that were handed in; by an admin who is not their author."""
        release = submissions.submission_approve(submission=self.get_object(), by=request.user)
        return Response(serializers.ReleaseSerializer(release, context=self.get_serializer_context()).data)

    @extend_schema(request=serializers.ReasonSerializer)
    @action(detail=True, methods=["post"])
    def refuse(self, request, pk=None):
        return self.act(request, submissions.submission_refuse, serializers.ReasonSerializer)


class ReleaseViewSet(WithFiles, mixins.RetrieveModelMixin, Scoped):
    queryset = Release.objects.select_related("listing__publisher", "published_by")
    serializer_class = serializers.ReleaseSerializer

    @extend_schema(responses={(200, "application/json"): OpenApiTypes.BINARY})
    @action(detail=True, methods=["get"])
    def bundle(self, request, pk=None):
        """The very bytes; their SHA-256 is the ETag. 402 for what has to be bought first."""
        release = self.get_object()
        require_readable(listing=release.listing, user=request.user)
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
        return self.act(request, publishing.release_yank, serializers.YankSerializer)


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

    @extend_schema(responses={200: serializers.UninstalledSerializer, 204: None})
    def destroy(self, request, *args, **kwargs):
        """Takes it out with its persona (204); one that runs of before name is archived, and told (200)."""
        kept = installing.installation_remove(installation=self.get_object(), by=request.user)
        if kept is None:
            return Response(status=status.HTTP_204_NO_CONTENT)
        return Response(serializers.UninstalledSerializer(kept).data)

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
        said = dict(asked.validated_data)
        if installation.is_fork:
            row = forks.fork_update(installation=installation, by=request.user, **said)
        else:
            said.pop("choices", None)
            row = installing.installation_update(installation=installation, by=request.user, **said)
        return Response(self.get_serializer(row).data)

    @extend_schema(
        request=serializers.InstallationUpdateSerializer, responses=serializers.MergePreviewSerializer
    )
    @action(detail=True, methods=["post"])
    def merge(self, request, pk=None):
        """What updating a fork would take over, keep, and where both changed the same; nothing is written."""
        installation = self.get_object()
        asked = serializers.InstallationUpdateSerializer(
            data=request.data, context=self.get_serializer_context()
        )
        asked.is_valid(raise_exception=True)
        release = asked.validated_data["release"]
        require_readable(listing=release.listing, user=request.user)
        merge = forks.fork_merge(installation=installation, release=release)
        return Response(serializers.MergePreviewSerializer(merge).data)

    @extend_schema(
        parameters=[serializers.PreviewAskedSerializer],
        responses=serializers.UpdatePreviewSerializer,
        filters=False,
    )
    @action(detail=True, methods=["get"])
    def preview(self, request, pk=None):
        """What an update would change; nothing is written. Of a fork see `merge/` too."""
        installation = self.get_object()
        asked = serializers.PreviewAskedSerializer(
            data=request.query_params, context=self.get_serializer_context()
        )
        asked.is_valid(raise_exception=True)
        there = installation.release
        release = asked.validated_data.get("release") or installation.listing.offered_to(there) or there
        preview = previews.installation_preview(installation=installation, release=release, by=request.user)
        return Response(serializers.UpdatePreviewSerializer(preview).data)
