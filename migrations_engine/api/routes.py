"""What this app adds to API v1: `ROUTES` for viewsets (prefix, viewset, basename), `PATHS` for single endpoints."""

from django.urls import path

from migrations_engine.api.machines import MigratedVMViewSet, TargetViewSet
from migrations_engine.api.runs import PlanView, ReceiptKeyView, RunViewSet
from migrations_engine.api.waves import WaveMemberViewSet, WaveViewSet, WaveWindowViewSet
from migrations_engine.api.webhooks import WebhookViewSet

ROUTES: list = [
    ("migrations", RunViewSet, "migration"),
    ("migrated-vms", MigratedVMViewSet, "migrated-vm"),
    ("targets", TargetViewSet, "target"),
    ("waves", WaveViewSet, "wave"),
    ("wave-members", WaveMemberViewSet, "wave-member"),
    ("wave-windows", WaveWindowViewSet, "wave-window"),
    ("webhooks", WebhookViewSet, "webhook"),
]
PATHS: list = [
    path("plans/", PlanView.as_view(), name="plan"),
    path("receipt-key/", ReceiptKeyView.as_view(), name="receipt-key"),
]
