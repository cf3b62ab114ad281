"""Deprecating, taking down, appealing; reports of abuse; reviews; forks."""

from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.response import Response

from marketplace.api.scoped import Scoped
from marketplace.api.serializers import ReasonSerializer
from marketplace.filters import TakedownFilter
from marketplace.models import AbuseReport, Listing, Takedown
from marketplace.services import moderation
from personas.api.base import ScopedRelatedField
from personas.models import Role


class DeprecateSerializer(ReasonSerializer):
    successor = ScopedRelatedField(queryset=Listing.objects.all(), required=False, allow_null=True)


class TakedownSerializer(serializers.ModelSerializer):
    class Meta:
        model = Takedown
        fields = [
            "id",
            "listing",
            "reason",
            "taken_down_at",
            "appeal",
            "appealed_at",
            "declined_at",
            "decline_reason",
            "lifted_at",
            "lift_reason",
        ]
        read_only_fields = fields


class AppealSerializer(serializers.Serializer):
    appeal = serializers.CharField(max_length=1000)


class WithModeration:
    """Actions of a listing about its end: `deprecate` goes on with a warning, `takedown` stops new runs."""

    @extend_schema(request=DeprecateSerializer)
    @action(detail=True, methods=["post"])
    def deprecate(self, request, pk=None):
        """It goes on as before; page, API and run preview tell why not to begin with it, and of its successor."""
        listing = self.get_object()
        asked = DeprecateSerializer(data=request.data, context=self.get_serializer_context())
        asked.is_valid(raise_exception=True)
        moderation.listing_deprecate(listing=listing, by=request.user, **asked.validated_data)
        return Response(self.get_serializer(self.get_object()).data)

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def undeprecate(self, request, pk=None):
        moderation.listing_undeprecate(listing=self.get_object(), by=request.user)
        return Response(self.get_serializer(self.get_object()).data)

    @extend_schema(request=ReasonSerializer, responses={201: TakedownSerializer})
    @action(detail=True, methods=["post"])
    def takedown(self, request, pk=None):
        """By a moderator: nobody installs it, and what is installed is not run."""
        listing = self.get_object()
        asked = ReasonSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        row = moderation.takedown_create(listing=listing, by=request.user, **asked.validated_data)
        return Response(TakedownSerializer(row).data, status=status.HTTP_201_CREATED)


class TakedownViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, Scoped):
    """What was taken down, of one's own departments' listings; a moderator's queue of appeals (`appeal=open`)."""

    queryset = Takedown.objects.select_related("listing__publisher__department")
    serializer_class = TakedownSerializer
    filterset_class = TakedownFilter

    @extend_schema(request=AppealSerializer)
    @action(detail=True, methods=["post"])
    def appeal(self, request, pk=None):
        return self.act(request, moderation.takedown_appeal, AppealSerializer)

    @extend_schema(request=ReasonSerializer)
    @action(detail=True, methods=["post"])
    def decline(self, request, pk=None):
        """By a moderator: the appeal changes nothing; the publisher reads why."""
        return self.act(request, moderation.takedown_appeal_decline, ReasonSerializer)

    @extend_schema(request=ReasonSerializer)
    @action(detail=True, methods=["post"])
    def lift(self, request, pk=None):
        """By a moderator: the listing is restored, and what is installed runs again."""
        return self.act(request, moderation.takedown_lift, ReasonSerializer)


class AbuseReportSerializer(serializers.ModelSerializer):
    listing = ScopedRelatedField(queryset=Listing.objects.all())

    class Meta:
        model = AbuseReport
        fields = ["id", "listing", "kind", "text", "created_at", "state", "outcome", "decided_at"]
        read_only_fields = ["state", "outcome", "decided_at"]
        validators: list = []

    def create(self, validated):
        return moderation.report_create(by=self.context["request"].user, **validated)


class ReportDecideSerializer(serializers.Serializer):
    upheld = serializers.BooleanField()
    outcome = serializers.CharField(max_length=400)
    take_down = serializers.BooleanField(default=False)


class AbuseReportViewSet(mixins.CreateModelMixin, mixins.ListModelMixin, mixins.RetrieveModelMixin, Scoped):
    """One's own reports and what came of them; a moderator's queue."""

    queryset = AbuseReport.objects.select_related("listing")
    serializer_class = AbuseReportSerializer
    write_role = Role.VIEWER
    noun = "report"

    def check_object_permissions(self, request, obj):
        """A report is its reporter's and the moderators': `visible_to` has said so, and services decide."""

    @extend_schema(request=ReportDecideSerializer)
    @action(detail=True, methods=["post"])
    def decide(self, request, pk=None):
        return self.act(request, moderation.report_decide, ReportDecideSerializer)
