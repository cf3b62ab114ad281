"""Keys of publishers and the chain that tells of them; keys that are trusted; bundles as signed files."""

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.parsers import BaseParser
from rest_framework.response import Response
from rest_framework.views import APIView

from marketplace.api.scoped import Scoped
from marketplace.api.serializers import ReasonSerializer, ReleaseSerializer
from marketplace.models import TrustedKey
from marketplace.permissions import SuperuserWrites
from marketplace.services import catalogues, importing, keys
from marketplace.services.entitlements import require_readable


class KeyRingSerializer(serializers.Serializer):
    current = serializers.CharField(help_text="The raw Ed25519 public key that signs what is new, in hex.")
    first = serializers.CharField()
    trusted = serializers.ListField(child=serializers.CharField())
    revoked = serializers.DictField(child=serializers.CharField(), help_text="Key: reason.")
    statements = serializers.ListField(
        child=serializers.CharField(), help_text="The signed statements, in base64, the first one first."
    )


class KeyRevokeSerializer(ReasonSerializer):
    key = serializers.CharField(max_length=64)


def ring_told(publisher) -> dict:
    ring = keys.ring_of(publisher)
    return {
        "current": ring.current,
        "first": ring.first,
        "trusted": sorted(ring.trusted),
        "revoked": ring.revoked,
        "statements": keys.chain_lines(keys.chain_of(publisher)).split(),
    }


class WithKeys:
    """Actions of a publisher about its keys."""

    @extend_schema(responses=KeyRingSerializer)
    @action(detail=True, methods=["get"])
    def keys(self, request, pk=None):
        """Which keys sign for it, with the signed history of them."""
        return Response(ring_told(self.get_object()))

    @extend_schema(request=None, responses=KeyRingSerializer)
    @action(detail=True, methods=["post"])
    def rotate(self, request, pk=None):
        """A new key, for which the one before signs; what that one has signed stays valid."""
        publisher = self.get_object()
        keys.key_rotate(publisher=publisher, by=request.user)
        return Response(ring_told(publisher))

    @extend_schema(request=KeyRevokeSerializer, responses=KeyRingSerializer)
    @action(detail=True, methods=["post"])
    def revoke(self, request, pk=None):
        """Nothing that the key has signed is trusted any more; the releases here are signed anew."""
        publisher = self.get_object()
        asked = KeyRevokeSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        keys.key_revoke(publisher=publisher, by=request.user, **asked.validated_data)
        return Response(ring_told(publisher))


class FeedKeys(APIView):
    """The keys that sign our own feed; a superuser's to change."""

    permission_classes = [SuperuserWrites]

    @extend_schema(responses=KeyRingSerializer)
    def get(self, request):
        return Response(ring_told(None))


class FeedKeyRotate(APIView):
    permission_classes = [SuperuserWrites]

    @extend_schema(request=None, responses=KeyRingSerializer)
    def post(self, request):
        """A new key for the feed, for which the one before signs; who subscribes follows by itself."""
        keys.key_rotate(publisher=None, by=request.user)
        return Response(ring_told(None))


class FeedKeyRevoke(APIView):
    permission_classes = [SuperuserWrites]

    @extend_schema(request=KeyRevokeSerializer, responses=KeyRingSerializer)
    def post(self, request):
        """No feed that the key has signed is taken any more. The current key is rotated first."""
        asked = KeyRevokeSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        keys.key_revoke(publisher=None, by=request.user, **asked.validated_data)
        return Response(ring_told(None))


class SignedFileParser(BaseParser):
    """One byte more than is taken, so that what is too large is told."""

    media_type = "application/octet-stream"

    def parse(self, stream, media_type=None, parser_context=None):
        return {"content": stream.read(catalogues.MOST_BYTES + catalogues.ENVELOPE_BYTES + 1)}


class WithFiles:
    """Actions of releases about signed files."""

    @extend_schema(responses={(200, "application/octet-stream"): OpenApiTypes.BINARY})
    @action(detail=True, methods=["get"])
    def file(self, request, pk=None):
        """The release as one signed file, for another instance."""
        release = self.get_object()
        require_readable(listing=release.listing, user=request.user)
        content = keys.release_file(release)
        name = f"{release.listing.publisher.slug}-{release.listing.slug}-{release.version}.persona"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return HttpResponse(content, content_type="application/octet-stream", headers=headers)

    @extend_schema(
        request={"application/octet-stream": OpenApiTypes.BINARY}, responses={201: ReleaseSerializer}
    )
    @action(detail=False, methods=["post"], url_path="import", parser_classes=[SignedFileParser])
    def import_(self, request):
        """A signed file of another instance into the organisation's catalogue."""
        importing.require_superuser(request.user)  # before anything is read
        release = importing.bundle_import(content=request.data.get("content", b""), by=request.user)
        told = ReleaseSerializer(release, context=self.get_serializer_context()).data
        return Response(told, status=status.HTTP_201_CREATED)


class TrustedKeySerializer(serializers.ModelSerializer):
    class Meta:
        model = TrustedKey
        fields = ["id", "public_key", "name", "publisher", "added_at"]

    def create(self, validated):
        return importing.trusted_key_create(by=self.context["request"].user, **validated)


class TrustedKeyRemoveSerializer(serializers.Serializer):
    public_key = serializers.CharField(max_length=64)


class TrustedKeyViewSet(mixins.CreateModelMixin, mixins.ListModelMixin, Scoped):
    """Keys whose files may be imported although no catalogue vouches for them; a superuser's to change."""

    queryset = TrustedKey.objects.all()
    serializer_class = TrustedKeySerializer

    def create(self, request, *args, **kwargs):
        importing.require_superuser(request.user)  # before anything is said of the body
        return super().create(request, *args, **kwargs)

    @extend_schema(request=TrustedKeyRemoveSerializer, responses={204: None})
    @action(detail=False, methods=["post"])
    def remove(self, request):
        """What it has signed is not installed any more; what is installed goes on."""
        importing.require_superuser(request.user)
        asked = TrustedKeyRemoveSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        importing.trusted_key_remove(by=request.user, **asked.validated_data)
        return Response(status=status.HTTP_204_NO_CONTENT)
