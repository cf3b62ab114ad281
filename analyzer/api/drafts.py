"""`/api/v1/drafts/`: personas that groups of machines suggest."""

from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.utils import extend_schema
from rest_framework import generics, serializers, status, viewsets
from rest_framework.decorators import action
from rest_framework.response import Response

from analyzer.api.visible import VisibleRows
from analyzer.filters import PersonaDraftFilter
from analyzer.models import PersonaDraft
from analyzer.services.drafts import draft_approve, draft_dismiss, drafts_refresh_asked
from personas.models import Department


class DraftSerializer(serializers.ModelSerializer):
    """`document` is what `/personas/import/` takes; `common`: [software, share of the members that have it]."""

    class Meta:
        model = PersonaDraft
        fields = [
            "id", "department", "key", "state", "document", "common", "member_count", "members", "like", "likeness",
            "persona", "created_at", "updated_at",
        ]  # fmt: skip
        read_only_fields = fields


class ApproveSerializer(serializers.Serializer):
    document = serializers.DictField(
        required=False, help_text="The document as you mended it; else as it stands."
    )


class CountSerializer(serializers.Serializer):
    open = serializers.IntegerField(help_text="Drafts that stand open now.")


class DraftViewSet(VisibleRows, viewsets.ReadOnlyModelViewSet):
    queryset = PersonaDraft.objects.prefetch_related("members")
    serializer_class = DraftSerializer
    filterset_class = PersonaDraftFilter
    filter_backends = [DjangoFilterBackend]

    @extend_schema(request=ApproveSerializer, responses={201: DraftSerializer}, summary="Make it a persona")
    @action(detail=True, methods=["post"])
    def approve(self, request, pk=None):
        draft = self.get_object()
        asked = ApproveSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        draft_approve(draft=draft, by=request.user, data=asked.validated_data.get("document"))
        return Response(DraftSerializer(draft).data, status=status.HTTP_201_CREATED)

    @extend_schema(request=None, responses=DraftSerializer, summary="Never draft it again")
    @action(detail=True, methods=["post"])
    def dismiss(self, request, pk=None):
        return Response(DraftSerializer(draft_dismiss(draft=self.get_object(), by=request.user)).data)


class DraftsOfDepartment(generics.GenericAPIView):
    queryset = Department.objects.all()
    serializer_class = CountSerializer

    @extend_schema(
        request=None,
        responses=CountSerializer,
        summary="Look for groups now",
        operation_id="departments_drafts_refresh",
    )
    def post(self, request, pk):
        department = generics.get_object_or_404(Department.objects.visible_to(request.user), pk=pk)
        return Response({"open": drafts_refresh_asked(department=department, by=request.user)})
