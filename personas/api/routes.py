"""What this app adds to API v1: `ROUTES` for viewsets (prefix, viewset, basename), `PATHS` for single endpoints."""

from personas.api import schema, viewsets  # noqa: F401  schema registers itself with drf-spectacular

ROUTES: list = [
    ("personas", viewsets.PersonaViewSet, "persona"),
    ("driver-sets", viewsets.DriverSetViewSet, "driverset"),
    ("resource-profiles", viewsets.ResourceProfileViewSet, "resourceprofile"),
    ("network-profiles", viewsets.NetworkProfileViewSet, "networkprofile"),
    ("scripts", viewsets.ScriptViewSet, "script"),
    ("secrets", viewsets.SecretViewSet, "secret"),
    ("departments", viewsets.DepartmentViewSet, "department"),
    ("tokens", viewsets.TokenViewSet, "token"),
    ("audit", viewsets.AuditViewSet, "auditentry"),
]
PATHS: list = []
