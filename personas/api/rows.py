"""What the API does with every row of a tenant that stands for itself: a persona, a template, a part, a script."""

from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.generics import get_object_or_404
from rest_framework.response import Response

from personas.api.base import OwnedViewSet
from personas.api.fields import department_for
from personas.api.serializers import RowCloneSerializer, UsedBySerializer
from personas.services.rows import row_archive, row_delete, row_restore, used_by


class RowViewSet(OwnedViewSet):
    """List, read, write, delete, clone, and who uses it. Subclasses give `clone_row`."""

    filter_backends = [DjangoFilterBackend]

    def perform_destroy(self, row):
        row_delete(row=row, by=self.request.user)

    @extend_schema(request=RowCloneSerializer)
    @action(detail=True, methods=["post"])
    def clone(self, request, pk=None):
        """A copy with a name of its own, in the department that you name."""
        row = get_object_or_404(
            self.get_queryset(), pk=pk
        )  # who may read it may copy it to where he may write
        asked = RowCloneSerializer(data=request.data, context=self.get_serializer_context())
        asked.is_valid(raise_exception=True)
        given = dict(asked.validated_data)
        department = department_for(request.user, given)
        clone = self.clone_row(row, by=request.user, department=department, name=given.get("name", ""))
        return Response(self.get_serializer(clone).data, status=status.HTTP_201_CREATED)

    @extend_schema(responses=UsedBySerializer, filters=False)
    @action(detail=True, methods=["get"], url_path="used-by", pagination_class=None)
    def used_by(self, request, pk=None):
        """What needs it; as long as anything does, it can't be deleted."""
        users, hidden = used_by(self.get_object(), by=request.user)
        return Response({"used_by": users, "hidden": hidden})


class ArchivableMixin:
    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def archive(self, request, pk=None):
        """Offered nowhere from now on; who uses it keeps it."""
        return self._answer(row_archive(row=self.get_object(), by=request.user))

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def restore(self, request, pk=None):
        return self._answer(row_restore(row=self.get_object(), by=request.user))

    def _answer(self, row) -> Response:
        return Response(self.get_serializer(row).data)
