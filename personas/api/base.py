"""What every API resource of a tenant shares: rows the reader may see, relations the writer may use, ETags."""

import hashlib
import json
from collections.abc import Mapping

from django.db import transaction
from rest_framework import serializers, viewsets
from rest_framework.exceptions import APIException
from rest_framework.response import Response

from personas.models import Department, Role


class ScopedRelatedField(serializers.PrimaryKeyRelatedField):
    """A foreign key by id, only among the rows that the user sees (or, with `role`, has that role for). Anything
    else is the same error as an id that does not exist."""

    def __init__(self, *, role: Role | None = None, **kwargs):
        self.role = role
        super().__init__(**kwargs)

    def get_queryset(self):
        rows, user = super().get_queryset(), self.context["request"].user
        if self.role is None:
            return rows.visible_to(user)
        return rows.operable_by(user) if self.role == Role.OPERATOR else rows.administered_by(user)


class DepartmentField(ScopedRelatedField):
    """The owning department: one in which the user may write. Left out when the user has exactly one such
    department."""

    def __init__(self, **kwargs):
        kwargs.setdefault("role", Role.ADMIN)
        super().__init__(queryset=Department.objects.all(), **kwargs)


class KnownFields:
    """A serializer that refuses a field it does not know, so that a misspelt one is no silent nothing. What it only
    reads may come back as it was given."""

    def to_internal_value(self, data):
        unknown = sorted(set(data) - set(self.fields)) if isinstance(data, Mapping) else []
        if unknown:
            raise serializers.ValidationError(dict.fromkeys(unknown, "Not known here."))
        return super().to_internal_value(data)


class PreconditionRequired(APIException):
    status_code = 428
    default_detail = "Send If-Match with the ETag of what you read, so that nobody's change is lost."


class PreconditionFailed(APIException):
    status_code = 412
    default_detail = "It has changed since you read it; read it again and repeat your change."


class OwnedViewSet(viewsets.ModelViewSet):
    """Subclasses give queryset, serializer, filterset and the services; `write_role` says who may write.

    The serializer's `create` and `update` call the services with `by=request.user`.
    """

    write_role = Role.ADMIN

    def get_queryset(self):
        if getattr(self, "swagger_fake_view", False):
            return super().get_queryset().none()
        return super().get_queryset().visible_to(self.request.user)


class ETagMixin:
    """ETag on reads; PUT, PATCH and DELETE ask for If-Match (428 without, 412 when it has changed).

    The row is locked before the comparison and until the write is committed: of two writers who read the same
    state, one gets 412.
    """

    def retrieve(self, request, *args, **kwargs):
        data = self.get_serializer(self.get_object()).data
        return Response(data, headers={"ETag": etag(data)})

    @transaction.atomic
    def update(self, request, *args, **kwargs):
        self._require_match(request)
        response = super().update(request, *args, **kwargs)
        response["ETag"] = etag(response.data)
        return response

    @transaction.atomic
    def destroy(self, request, *args, **kwargs):
        self._require_match(request)
        return super().destroy(request, *args, **kwargs)

    def _require_match(self, request):
        row = self.get_object()  # 404 and 403 come before anything else
        type(row)._base_manager.select_for_update().filter(pk=row.pk).first()
        current = etag(self.get_serializer(self.get_object()).data)
        asked = request.headers.get("If-Match")
        if asked is None:
            raise PreconditionRequired()
        if asked.strip() != "*" and current not in [tag.strip() for tag in asked.split(",")]:
            raise PreconditionFailed()


def etag(data: dict) -> str:
    canonical = json.dumps(data, sort_keys=True, default=str)
    return f'"{hashlib.sha256(canonical.encode()).hexdigest()[:32]}"'
