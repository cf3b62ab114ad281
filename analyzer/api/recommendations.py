"""`/api/v1/recommendations/`, `/feedback/`, `/vm-personas/`: suggestions, answers, and what machines carry."""

from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, status, viewsets
from rest_framework.decorators import action
from rest_framework.response import Response

from analyzer.api.serializers import (
    AcceptSerializer,
    ChooseSerializer,
    DismissSerializer,
    FeedbackSerializer,
    PrioritySerializer,
    RecommendationDetailSerializer,
    RecommendationSerializer,
    VMPersonaSerializer,
)
from analyzer.api.visible import VisibleRows
from analyzer.filters import FeedbackFilter, RecommendationFilter, VMPersonaFilter
from analyzer.models import Feedback, Recommendation, VMPersona
from analyzer.permissions import OperatorWrites
from analyzer.services.recommendations import (
    recommendation_accept,
    recommendation_choose_other,
    recommendation_dismiss,
    recommendation_none_fits,
)
from analyzer.services.vm_personas import vm_persona_assign, vm_persona_unassign


class RecommendationViewSet(OperatorWrites, VisibleRows, viewsets.ReadOnlyModelViewSet):
    queryset = Recommendation.objects.select_related("vm", "persona").prefetch_related("outcomes")
    filterset_class = RecommendationFilter
    filter_backends = [DjangoFilterBackend]

    def get_serializer_class(self):
        return RecommendationSerializer if self.action == "list" else RecommendationDetailSerializer

    @extend_schema(request=AcceptSerializer, responses=RecommendationDetailSerializer)
    @action(detail=True, methods=["post"])
    def accept(self, request, pk=None):
        return self._answer(request, AcceptSerializer, recommendation_accept)

    @extend_schema(request=ChooseSerializer, responses=RecommendationDetailSerializer)
    @action(detail=True, methods=["post"])
    def choose(self, request, pk=None):
        return self._answer(request, ChooseSerializer, recommendation_choose_other)

    @extend_schema(request=DismissSerializer, responses=RecommendationDetailSerializer)
    @action(detail=True, methods=["post"])
    def dismiss(self, request, pk=None):
        return self._answer(request, DismissSerializer, recommendation_dismiss)

    @extend_schema(request=DismissSerializer, responses=RecommendationDetailSerializer)
    @action(detail=True, methods=["post"], url_path="none-fits")
    def none_fits(self, request, pk=None):
        """No persona is for this machine; the recommender learns it."""
        return self._answer(request, DismissSerializer, recommendation_none_fits)

    def _answer(self, request, serializer, service):
        context = self.get_serializer_context()
        asked = serializer(data=request.data, context=context)
        recommendation = self.get_object()
        asked.is_valid(raise_exception=True)
        answered = service(recommendation=recommendation, by=request.user, **asked.validated_data)
        return Response(RecommendationDetailSerializer(answered, context=context).data)


class FeedbackViewSet(VisibleRows, viewsets.ReadOnlyModelViewSet):
    queryset = Feedback.objects.select_related("by")
    serializer_class = FeedbackSerializer
    filterset_class = FeedbackFilter
    filter_backends = [DjangoFilterBackend]


class VMPersonaViewSet(
    OperatorWrites,
    VisibleRows,
    mixins.CreateModelMixin,
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    mixins.DestroyModelMixin,
    viewsets.GenericViewSet,
):
    """Which personas a machine carries, for which use case. Assigning again changes the priority."""

    queryset = VMPersona.objects.select_related("vm", "persona")
    serializer_class = VMPersonaSerializer
    filterset_class = VMPersonaFilter
    filter_backends = [DjangoFilterBackend]

    def perform_destroy(self, instance):
        vm_persona_unassign(vm_persona=instance, by=self.request.user)

    @extend_schema(request=PrioritySerializer, responses=VMPersonaSerializer)
    def partial_update(self, request, pk=None):
        row = self.get_object()
        asked = PrioritySerializer(row, data=request.data)
        asked.is_valid(raise_exception=True)
        changed = vm_persona_assign(
            vm=row.vm, persona=row.persona, use_case=row.use_case, by=request.user, **asked.validated_data
        )
        return Response(VMPersonaSerializer(changed).data, status=status.HTTP_200_OK)
