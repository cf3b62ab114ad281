"""What every resource of the marketplace shares."""

from django_filters.rest_framework import DjangoFilterBackend
from rest_framework import viewsets

from personas.models import Role


class Scoped(viewsets.GenericViewSet):
    """Only the rows that the reader sees."""

    write_role = Role.ADMIN
    filter_backends = [DjangoFilterBackend]

    def get_queryset(self):
        if getattr(self, "swagger_fake_view", False):
            return super().get_queryset().none()
        return super().get_queryset().visible_to(self.request.user)
