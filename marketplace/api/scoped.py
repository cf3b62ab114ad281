"""What every resource of the marketplace shares."""

from django_filters.rest_framework import DjangoFilterBackend
from rest_framework import serializers, viewsets
from rest_framework.response import Response

from personas.models import Role


class Scoped(viewsets.GenericViewSet):
    """Only the rows that the reader sees."""

    write_role = Role.ADMIN
    filter_backends = [DjangoFilterBackend]
    noun = ""
    """What services call a row of it; empty: as its model."""

    def get_queryset(self):
        if getattr(self, "swagger_fake_view", False):
            return super().get_queryset().none()
        return super().get_queryset().visible_to(self.request.user)

    def act(self, request, verb, shape=serializers.Serializer) -> Response:
        """The row, after a service has done with it what the request asks in that shape."""
        row = self.get_object()
        asked = shape(data=request.data, context=self.get_serializer_context())
        asked.is_valid(raise_exception=True)
        noun = self.noun or row._meta.model_name
        done = verb(**{noun: row}, by=request.user, **asked.validated_data)
        return Response(self.get_serializer(done).data)
