"""`/metrics` for Prometheus, and the support bundle of a run."""

from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.permissions import IsAuthenticated
from rest_framework.views import APIView

from migrations_engine.services.metrics import metrics_text


class SuperuserOnly(IsAuthenticated):
    """The figures are of all departments. A token needs any scope: it only reads."""

    def has_permission(self, request, view):
        allowed = super().has_permission(request, view) and request.user.is_superuser
        return bool(allowed and (request.auth is None or request.auth.scopes))


@extend_schema(exclude=True)
class MetricsView(APIView):
    permission_classes = [SuperuserOnly]

    def get(self, request):
        return HttpResponse(
            metrics_text(timezone.now()), content_type="text/plain; version=0.0.4; charset=utf-8"
        )
