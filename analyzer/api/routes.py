"""What this app adds to API v1: `ROUTES` for viewsets (prefix, viewset, basename), `PATHS` for single endpoints."""

from django.urls import path

from analyzer.api.drafts import DraftsOfDepartment, DraftViewSet
from analyzer.api.machines import MachineViewSet
from analyzer.api.of_machine import PackagesOfMachine, RecommendationsOfMachine, ServicesOfMachine
from analyzer.api.prometheus import PrometheusCollect, PrometheusOfSource
from analyzer.api.recommendations import FeedbackViewSet, RecommendationViewSet, VMPersonaViewSet
from analyzer.api.recommender import (
    EstateCells,
    PromoteRecommender,
    RecommenderOfDepartment,
    ResetRecommender,
    RevertRecommender,
)
from analyzer.api.scans import ScanViewSet
from analyzer.api.sizing_settings import SizingSettingsOfDepartment
from analyzer.api.software_names import SoftwareNameViewSet
from analyzer.api.sources import SourceViewSet
from analyzer.api.usage import UsageViewSet

ROUTES: list = [
    ("sources", SourceViewSet, "source"),
    ("machines", MachineViewSet, "machine"),
    ("scans", ScanViewSet, "scan"),
    ("recommendations", RecommendationViewSet, "recommendation"),
    ("feedback", FeedbackViewSet, "feedback"),
    ("software-names", SoftwareNameViewSet, "software-name"),
    ("drafts", DraftViewSet, "draft"),
    ("vm-personas", VMPersonaViewSet, "vm-persona"),
    ("usage", UsageViewSet, "usage"),
]
RECOMMENDER = "departments/<uuid:pk>/recommender/"
PATHS: list = [
    path("sources/<uuid:pk>/prometheus/", PrometheusOfSource.as_view(), name="source-prometheus"),
    path(
        "sources/<uuid:pk>/prometheus/collect/", PrometheusCollect.as_view(), name="source-prometheus-collect"
    ),
    path(RECOMMENDER, RecommenderOfDepartment.as_view(), name="department-recommender"),
    path(f"{RECOMMENDER}promote/", PromoteRecommender.as_view(), name="department-recommender-promote"),
    path(f"{RECOMMENDER}reset/", ResetRecommender.as_view(), name="department-recommender-reset"),
    path(f"{RECOMMENDER}revert/", RevertRecommender.as_view(), name="department-recommender-revert"),
    path("departments/<uuid:pk>/drafts/", DraftsOfDepartment.as_view(), name="department-drafts"),
    path("estate/cells/", EstateCells.as_view(), name="estate-cells"),
    path("departments/<uuid:pk>/sizing/", SizingSettingsOfDepartment.as_view(), name="department-sizing"),
    path("machines/<uuid:pk>/packages/", PackagesOfMachine.as_view(), name="machine-packages"),
    path("machines/<uuid:pk>/services/", ServicesOfMachine.as_view(), name="machine-services"),
    path(
        "machines/<uuid:pk>/recommendations/",
        RecommendationsOfMachine.as_view(),
        name="machine-recommendations",
    ),
]
