"""`/api/v1/departments/{id}/recommender/`: what it has learned, and its switches. `/api/v1/estate/cells/`: the map."""

from drf_spectacular.utils import extend_schema
from rest_framework import generics, serializers
from rest_framework.response import Response
from rest_framework.views import APIView

from analyzer.services.estate import estate_of
from analyzer.services.learning import (
    card_of,
    recommender_of,
    recommender_promote,
    recommender_reset,
    recommender_revert,
    recommender_set,
)
from personas.api.base import KnownFields
from personas.models import Department


class SwitchesSerializer(KnownFields, serializers.Serializer):
    enabled = serializers.BooleanField(required=False, help_text="Off: the fixed rules suggest.")
    shares = serializers.BooleanField(
        required=False, help_text="Learns with the other departments that share."
    )
    shadow = serializers.BooleanField(required=False, help_text="Learns in silence; the fixed rules suggest.")


class CardSerializer(serializers.Serializer):
    enabled = serializers.BooleanField()
    shares = serializers.BooleanField()
    shadow = serializers.BooleanField()
    may_revert = serializers.BooleanField()
    trial = serializers.DictField(
        child=serializers.IntegerField(), help_text="Since it went into the shadow."
    )
    name = serializers.CharField()
    version = serializers.IntegerField()
    answers = serializers.IntegerField()
    outcomes = serializers.IntegerField(help_text="What became of suggestions, learned beside the answers.")
    said_right = serializers.FloatField(allow_null=True, help_text="Share right before it was told.")
    calibration = serializers.DictField(child=serializers.FloatField())
    features = serializers.DictField(child=serializers.IntegerField())


class OfDepartment(generics.GenericAPIView):
    queryset = Department.objects.all()
    serializer_class = CardSerializer

    def department(self) -> Department:
        return generics.get_object_or_404(
            Department.objects.visible_to(self.request.user), pk=self.kwargs["pk"]
        )

    def card(self) -> Response:
        return Response(card_of(recommender_of(self.department())))


class RecommenderOfDepartment(OfDepartment):
    @extend_schema(
        responses=CardSerializer, summary="Its model card", operation_id="departments_recommender_retrieve"
    )
    def get(self, request, pk):
        return self.card()

    @extend_schema(
        request=SwitchesSerializer,
        responses=CardSerializer,
        summary="Switch it",
        operation_id="departments_recommender_update",
    )
    def patch(self, request, pk):
        department = self.department()
        asked = SwitchesSerializer(data=request.data, partial=True)
        asked.is_valid(raise_exception=True)
        recommender_set(department=department, by=request.user, **asked.validated_data)
        return self.card()


class _Deed(OfDepartment):
    deed = staticmethod(recommender_reset)

    def post(self, request, pk):
        type(self).deed(department=self.department(), by=request.user)
        return self.card()


@extend_schema(request=None, responses=CardSerializer, summary="Out of the shadow, on a measured gain")
class PromoteRecommender(_Deed):
    deed = staticmethod(recommender_promote)


@extend_schema(request=None, responses=CardSerializer, summary="Begin anew; what was known is kept aside")
class ResetRecommender(_Deed):
    deed = staticmethod(recommender_reset)


@extend_schema(request=None, responses=CardSerializer, summary="Back to before the last reset")
class RevertRecommender(_Deed):
    deed = staticmethod(recommender_revert)


class CellSerializer(serializers.Serializer):
    x = serializers.IntegerField()
    y = serializers.IntegerField()
    count = serializers.IntegerField()
    cost = serializers.FloatField(help_text="In vCPUs: those of its machines, 8 GiB of memory counting as one more.")
    persona = serializers.UUIDField(allow_null=True)
    name = serializers.CharField(allow_blank=True)


class EstateCells(APIView):
    @extend_schema(
        responses=CellSerializer(many=True),
        summary="Machines with like software, by place",
        description="Of a large estate as at the last count, a quarter of an hour ago at most.",
    )
    def get(self, request):
        return Response(CellSerializer(estate_of(request.user).cells, many=True).data)
