"""`/api/v1/migrations/` and `/api/v1/plans/`: MigrateVM(TemplateID, VMID, PersonaID), its preview, its steering."""

from django.http import HttpResponse
from django.urls import reverse
from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import mixins, serializers, status, viewsets
from rest_framework.decorators import action
from rest_framework.response import Response
from rest_framework.views import APIView

from migrations_engine import pipeline
from migrations_engine.api.run_serializers import (
    CleanedUpSerializer,
    DecideSerializer,
    LaunchSerializer,
    PlanSerializer,
    ReceiptKeySerializer,
    RollbackSerializer,
    RunDetailSerializer,
    RunSerializer,
    StartSerializer,
)
from migrations_engine.filters import RunFilter
from migrations_engine.models import MigrationRun
from migrations_engine.services import commitment
from migrations_engine.services.launch import launch_arguments, terms_asked
from migrations_engine.services.orphans import run_clean_up
from migrations_engine.services.plan import plan_make
from migrations_engine.services.progress import with_progress
from migrations_engine.services.receipt import receipt_key, receipt_of
from migrations_engine.services.repeats import changes_left, repeated_run
from migrations_engine.services.runs import run_replayed
from migrations_engine.services.support_bundle import support_bundle
from personas.domain.canonical import sha256_of
from personas.models import Role
from personas.models.token import Scope
from personas.services.access import require
from templates_app.permissions import AskPermission

MAX_KEY_CHARACTERS = 200


class ReceiptKeyView(APIView):
    permission_classes = [AskPermission]

    @extend_schema(responses=ReceiptKeySerializer, summary="The public key of this instance's receipts")
    def get(self, request):
        return Response({"public_key": receipt_key()})


class PlanView(APIView):
    permission_classes = [AskPermission]

    @extend_schema(
        operation_id="plan",
        summary="What a migration would do; nothing is stored",
        request=LaunchSerializer,
        responses=PlanSerializer,
    )
    def post(self, request):
        asked = LaunchSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        plan = plan_make(**launch_arguments(asked.validated_data, by=request.user))
        shown = {name: plan.document[name] for name in PlanSerializer().fields if name in plan.document}
        repeated = repeated_run(plan)
        shown |= {"changes": changes_left(plan, repeated), "repeats": str(repeated.pk) if repeated else None}
        return Response({**shown, "sha256": plan.sha256, "launchable": not plan.blockers})


IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    description="The same key replays the first answer; with another body 422.",
)


class RunViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet):
    queryset = MigrationRun.objects.select_related("created_by")
    serializer_class = RunSerializer
    filterset_class = RunFilter
    filter_backends = [DjangoFilterBackend]
    write_role = Role.OPERATOR
    write_scope = Scope.MIGRATE

    def get_queryset(self):
        if getattr(self, "swagger_fake_view", False):
            return super().get_queryset().none()
        return with_progress(super().get_queryset().visible_to(self.request.user))

    @extend_schema(responses=RunDetailSerializer)
    def retrieve(self, request, *args, **kwargs):
        return Response(RunDetailSerializer(self.get_object()).data)

    @extend_schema(
        summary="MigrateVM(TemplateID, VMID, PersonaID)",
        request=StartSerializer,
        responses={202: RunSerializer},
        parameters=[IDEMPOTENCY_KEY],
        examples=[
            OpenApiExample(
                "By persona",
                value={"template": "1b9d…", "vm": "58ad…", "persona": "c09f…"},
                request_only=True,
            )
        ],
    )
    def create(self, request):
        asked = StartSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        key, sha256 = _key(request), sha256_of(request.data)
        if earlier := run_replayed(by=request.user, key=key, request_sha256=sha256):
            return self._accepted(earlier)
        run = pipeline.run_start(
            **launch_arguments(asked.validated_data, by=request.user),
            plan_sha256=asked.validated_data.get("plan_sha256"),
            idempotency_key=key,
            request_sha256=sha256,
            terms=terms_asked(asked.validated_data),
            acknowledged=asked.validated_data.get("acknowledge"),
            drill=asked.validated_data.get("drill", ""),
        )
        return self._accepted(run)

    @extend_schema(responses=OpenApiTypes.OBJECT, filters=False, summary="Its signed receipt, as a file")
    @action(detail=True, filterset_class=None)
    def receipt(self, request, pk=None):
        run = self.get_object()
        headers = {"Content-Disposition": f'attachment; filename="receipt-{run.pk}.json"'}
        return Response(receipt_of(run), headers=headers)

    @extend_schema(
        responses={(200, "application/zip"): OpenApiTypes.BINARY},
        filters=False,
        summary="What somebody else needs to understand it, without secrets, as ZIP",
    )
    @action(detail=True, filterset_class=None)
    def support(self, request, pk=None):
        run = self.get_object()
        require(by=request.user, department=run.department, role=Role.OPERATOR)
        headers = {"Content-Disposition": f'attachment; filename="support-{run.pk}.zip"'}
        return HttpResponse(support_bundle(run), content_type="application/zip", headers=headers)

    @extend_schema(
        request=None,
        responses={202: RunSerializer},
        summary="Stop it, or give it up; what it made is removed",
    )
    @action(detail=True, methods=["post"])
    def cancel(self, request, pk=None):
        return self._accepted(pipeline.run_cancel(run=self.get_object(), by=request.user))

    @extend_schema(
        request=None,
        responses={202: RunSerializer},
        summary="The failed step once more, on the same snapshot",
    )
    @action(detail=True, methods=["post"])
    def retry(self, request, pk=None):
        return self._accepted(pipeline.run_retry(run=self.get_object(), by=request.user))

    @extend_schema(request=None, responses=RunSerializer, summary="It stays: ends the wait for a person")
    @action(detail=True, methods=["post"])
    def confirm(self, request, pk=None):
        return self._shown(commitment.run_confirm(run=self.get_object(), by=request.user))

    @extend_schema(
        request=RollbackSerializer,
        responses={202: RunSerializer},
        summary="The way back; discards a test migration",
    )
    @action(detail=True, methods=["post"])
    def rollback(self, request, pk=None):
        asked = RollbackSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        reason = asked.validated_data.get("reason", "")
        return self._accepted(pipeline.run_rollback(run=self.get_object(), by=request.user, reason=reason))

    @extend_schema(
        request=DecideSerializer,
        responses={202: RunSerializer},
        summary="What becomes of a source that does not shut down",
    )
    @action(detail=True, methods=["post"])
    def decide(self, request, pk=None):
        asked = DecideSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        run = pipeline.run_decide(run=self.get_object(), by=request.user, **asked.validated_data)
        return self._accepted(run)

    @extend_schema(request=None, responses=RunSerializer, summary="Gives up the way back")
    @action(detail=True, methods=["post"])
    def finalize(self, request, pk=None):
        return self._shown(commitment.run_finalize(run=self.get_object(), by=request.user))

    @extend_schema(
        request=None, responses=CleanedUpSerializer, summary="Removes what a run that is over left at its target"
    )
    @action(detail=True, methods=["post"], url_path="clean-up")
    def clean_up(self, request, pk=None):
        done = run_clean_up(run=self.get_object(), by=request.user)
        return Response({"removed": done.removed, "missing": done.missing})

    def _shown(self, run) -> Response:
        return Response(RunSerializer(self.get_queryset().get(pk=run.pk)).data)

    def _accepted(self, run) -> Response:
        run = self.get_queryset().get(pk=run.pk)
        place = self.request.build_absolute_uri(reverse("migration-detail", args=[run.pk]))
        return Response(RunSerializer(run).data, status=status.HTTP_202_ACCEPTED, headers={"Location": place})


def _key(request) -> str:
    key = request.headers.get("Idempotency-Key", "").strip().strip('"')
    if len(key) > MAX_KEY_CHARACTERS:
        raise serializers.ValidationError({"Idempotency-Key": f"At most {MAX_KEY_CHARACTERS} characters."})
    return key
