"""What this app adds to API v1: `ROUTES` for viewsets (prefix, viewset, basename), `PATHS` for single endpoints."""

from marketplace.api import viewsets

ROUTES: list = [
    ("publishers", viewsets.PublisherViewSet, "publisher"),
    ("listings", viewsets.ListingViewSet, "listing"),
    ("submissions", viewsets.SubmissionViewSet, "submission"),
    ("releases", viewsets.ReleaseViewSet, "release"),
    ("installations", viewsets.InstallationViewSet, "installation"),
]
PATHS: list = []
