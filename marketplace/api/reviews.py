"""`/api/v1/reviews/`: of who has run a release."""

from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers
from rest_framework.decorators import action
from rest_framework.response import Response

from marketplace.api.scoped import Scoped
from marketplace.models import Listing, Review
from marketplace.services import reviews
from personas.api.base import DepartmentField, ScopedRelatedField
from personas.models import Role


class ReviewFilter(filters.FilterSet):
    listing = filters.UUIDFilter()

    class Meta:
        model = Review
        fields: list = []


class ReviewSerializer(serializers.ModelSerializer):
    listing = ScopedRelatedField(queryset=Listing.objects.all())
    department = DepartmentField(role=Role.OPERATOR)
    version = serializers.CharField(source="release.version", read_only=True)

    class Meta:
        model = Review
        fields = [
            "id",
            "listing",
            "version",
            "department",
            "stars",
            "text",
            "updated_at",
            "reply",
            "replied_at",
        ]
        read_only_fields = ["reply", "replied_at"]
        validators: list = []

    def create(self, validated):
        return reviews.review_write(by=self.context["request"].user, **validated)


class ReplySerializer(serializers.Serializer):
    reply = serializers.CharField(max_length=2000)


class ReviewViewSet(mixins.CreateModelMixin, mixins.ListModelMixin, mixins.RetrieveModelMixin, Scoped):
    """POST writes the department's review, or changes the one that it has."""

    queryset = Review.objects.select_related("release", "listing__publisher")
    serializer_class = ReviewSerializer
    filterset_class = ReviewFilter
    write_role = Role.OPERATOR

    def check_object_permissions(self, request, obj):
        """Who sees the listing reads; who may answer, the service says."""

    @extend_schema(request=ReplySerializer)
    @action(detail=True, methods=["post"])
    def reply(self, request, pk=None):
        """The publisher's answer, new or changed."""
        review = self.get_object()
        asked = ReplySerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        row = reviews.review_reply(review=review, by=request.user, **asked.validated_data)
        return Response(self.get_serializer(row).data)
