"""What this app adds to API v1: `ROUTES` for viewsets (prefix, viewset, basename), `PATHS` for single endpoints."""

from django.urls import path

from templates_app.api.merge import MergeView, SettingsSchemaView
from templates_app.api.templates import TemplateViewSet

ROUTES: list = [("templates", TemplateViewSet, "template")]
PATHS: list = [
    path("merge/", MergeView.as_view(), name="merge"),
    path("settings-schema/", SettingsSchemaView.as_view(), name="settings-schema"),
]
