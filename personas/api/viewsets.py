"""The app's resources of API v1."""

from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import mixins, status, viewsets
from rest_framework.decorators import action
from rest_framework.generics import get_object_or_404
from rest_framework.response import Response

from personas import filters
from personas.api import serializers
from personas.api.base import ETagMixin, OwnedViewSet, etag
from personas.api.fields import department_for
from personas.api.rows import ArchivableMixin, RowViewSet
from personas.errors import NotAllowed
from personas.models import (
    ApiToken,
    AuditEntry,
    Department,
    DriverSet,
    NetworkProfile,
    Persona,
    ResourceProfile,
    Role,
    Script,
    Secret,
)
from personas.permissions import DepartmentPermission, OwnTokensPermission
from personas.services import approvals, departments, parts, personas, scripts, tokens
from personas.services.persona_document import persona_export, persona_import


class PartViewSet(RowViewSet):
    def clone_row(self, part, **asked):
        return parts.part_clone(part=part, **asked)


class DriverSetViewSet(PartViewSet):
    queryset = DriverSet.objects.all()
    serializer_class = serializers.DriverSetSerializer
    filterset_class = filters.DriverSetFilter


class ResourceProfileViewSet(PartViewSet):
    queryset = ResourceProfile.objects.all()
    serializer_class = serializers.ResourceProfileSerializer
    filterset_class = filters.ResourceProfileFilter


class NetworkProfileViewSet(PartViewSet):
    queryset = NetworkProfile.objects.all()
    serializer_class = serializers.NetworkProfileSerializer
    filterset_class = filters.NetworkProfileFilter


class ScriptViewSet(ArchivableMixin, RowViewSet):
    queryset = Script.objects.all()
    serializer_class = serializers.ScriptSerializer
    filterset_class = filters.ScriptFilter

    def clone_row(self, script, **asked):
        return scripts.script_clone(script=script, **asked)

    @extend_schema(request=serializers.ScriptApproveSerializer)
    @action(detail=True, methods=["post"])
    def approve(self, request, pk=None):
        """Lets the very text of a script from the marketplace run; by an admin other than who published it."""
        script = self.get_object()
        asked = serializers.ScriptApproveSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        approvals.script_approve(script=script, by=request.user, **asked.validated_data)
        return Response(self.get_serializer(script).data)

    @extend_schema(responses=serializers.ScriptRevisionSerializer(many=True), filters=False)
    @action(detail=True, methods=["get"], pagination_class=None)
    def revisions(self, request, pk=None):
        """Every text that it had, the newest first."""
        return Response(
            serializers.ScriptRevisionSerializer(self.get_object().revisions.all(), many=True).data
        )


class SecretViewSet(OwnedViewSet):
    queryset = Secret.objects.all()
    serializer_class = serializers.SecretSerializer
    filterset_class = filters.SecretFilter


class PersonaViewSet(ETagMixin, ArchivableMixin, RowViewSet):
    queryset = Persona.objects.select_related(
        "default_driver_set", "resource_allocation_profile", "network_profile", "post_migration_script"
    ).prefetch_related("notices")
    serializer_class = serializers.PersonaSerializer
    filterset_class = filters.PersonaFilter

    def clone_row(self, persona, **asked):
        return personas.persona_clone(persona=persona, **asked)

    @extend_schema(responses=serializers.PersonaRevisionSerializer(many=True), filters=False)
    @action(detail=True, methods=["get"], pagination_class=None)
    def revisions(self, request, pk=None):
        """Every document that it was, the newest first."""
        return Response(
            serializers.PersonaRevisionSerializer(self.get_object().revisions.all(), many=True).data
        )

    @extend_schema(responses=serializers.PersonaDocumentSerializer)
    @action(detail=True, methods=["get"])
    def document(self, request, pk=None):
        """The persona as a document that `import/` takes, here or in another instance."""
        return Response(persona_export(self.get_object()))

    @extend_schema(
        request=serializers.PersonaImportSerializer, responses={201: serializers.PersonaSerializer}
    )
    @action(detail=False, methods=["post"], url_path="import")
    def import_(self, request):
        """A persona from a document. Profiles that say the same are used; where there is none, one is made."""
        asked = serializers.PersonaImportSerializer(data=request.data, context=self.get_serializer_context())
        asked.is_valid(raise_exception=True)
        data = dict(asked.validated_data)
        department = department_for(request.user, data)
        return self._told(
            persona_import(data=data, by=request.user, department=department), status.HTTP_201_CREATED
        )

    def _told(self, persona: Persona, code: int = status.HTTP_200_OK) -> Response:
        data = self.get_serializer(persona).data
        return Response(data, status=code, headers={"ETag": etag(data)})


class DepartmentViewSet(OwnedViewSet):
    """Departments: a superuser makes and removes them, their admins say who belongs to them."""

    queryset = Department.objects.all()
    serializer_class = serializers.DepartmentSerializer
    filterset_class = filters.DepartmentFilter
    filter_backends = [DjangoFilterBackend]

    def create(self, request, *args, **kwargs):
        departments.require_superuser(request.user)  # before anything is said of the body
        return super().create(request, *args, **kwargs)

    def perform_destroy(self, department):
        departments.department_delete(department=department, by=self.request.user)

    @extend_schema(
        methods=["GET"],
        responses=serializers.MembershipSerializer(many=True),
        filters=False,
        operation_id="departments_members",
    )
    @extend_schema(
        methods=["POST"], request=serializers.MembershipSerializer, responses=serializers.MembershipSerializer
    )
    @action(detail=True, methods=["get", "post"], pagination_class=None)
    def members(self, request, pk=None):
        """Who belongs to it; POST makes a user a member or changes the role."""
        department = self.get_object()
        if request.method == "GET":
            rows = department.memberships.select_related("user")
            return Response(serializers.MembershipSerializer(rows, many=True).data)
        asked = serializers.MembershipSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        username, role = asked.validated_data["user"]["username"], asked.validated_data["role"]
        member = departments.membership_set(
            department=department, username=username, role=role, by=request.user
        )
        return Response(serializers.MembershipSerializer(member).data)

    @extend_schema(parameters=[OpenApiParameter("user", int, OpenApiParameter.PATH)], responses={204: None})
    @action(detail=True, methods=["delete"], url_path=r"members/(?P<user>[0-9]+)", write_role=Role.VIEWER)
    def member(self, request, pk=None, user=None):
        """Removes a member; the last admin stays."""
        department = get_object_or_404(self.get_queryset(), pk=pk)  # a viewer may leave: the service decides
        departments.membership_remove(department=department, user_id=int(user), by=request.user)
        return Response(status=status.HTTP_204_NO_CONTENT)


class TokenViewSet(
    mixins.CreateModelMixin,
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    mixins.DestroyModelMixin,
    viewsets.GenericViewSet,
):
    """Your own tokens. The secret is in the answer to POST and never again; DELETE revokes."""

    queryset = ApiToken.objects.all()
    serializer_class = serializers.TokenSerializer
    filterset_class = filters.TokenFilter
    filter_backends = [DjangoFilterBackend]
    permission_classes = [OwnTokensPermission]

    def get_queryset(self):
        return super().get_queryset().visible_to(self.request.user)

    @extend_schema(request=serializers.TokenSerializer, responses={201: serializers.NewTokenSerializer})
    def create(self, request, *args, **kwargs):
        asked = self.get_serializer(data=request.data)
        asked.is_valid(raise_exception=True)
        if request.auth is not None:
            raise NotAllowed("A token makes no tokens; log in.")
        token, secret = tokens.token_create(by=request.user, **asked.validated_data)
        told = {**self.get_serializer(token).data, "secret": secret}
        return Response(told, status=status.HTTP_201_CREATED, headers={"Cache-Control": "no-store"})

    def perform_destroy(self, token):
        tokens.token_revoke(token=token, by=self.request.user)


class AuditViewSet(viewsets.ReadOnlyModelViewSet):
    """Who changed what, when. Nobody changes it."""

    queryset = AuditEntry.objects.all()
    serializer_class = serializers.AuditSerializer
    filterset_class = filters.AuditFilter
    filter_backends = [DjangoFilterBackend]
    permission_classes = [DepartmentPermission]

    def get_queryset(self):
        return super().get_queryset().visible_to(self.request.user)
