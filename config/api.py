"""API v1: one router, filled from each app's `ROUTES` and `PATHS`."""

from functools import cache

from django.urls import include, path
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.routers import DefaultRouter

from analyzer.api import routes as analyzer
from marketplace.api import routes as marketplace
from migrations_engine.api import routes as migrations_engine
from personas.api import routes as personas
from templates_app.api import routes as templates_app

APPS = (personas, templates_app, analyzer, migrations_engine, marketplace)


def router() -> DefaultRouter:
    """Raises ValueError when two apps claim one prefix."""
    made = DefaultRouter()
    made.include_format_suffixes = False  # there is one format: every route once
    for app in APPS:
        for prefix, viewset, basename in app.ROUTES:
            if any(prefix == taken for taken, _, _ in made.registry):
                raise ValueError(f"{app.__name__}: the prefix {prefix!r} is taken")
            made.register(prefix, viewset, basename)
    return made


class SchemaOnce(SchemaGenerator):
    """The document is the same for everyone and changes only with the code, and making it takes a second."""

    def get_schema(self, request=None, public=False):
        return public_schema() if public else super().get_schema(request, public)


@cache
def public_schema() -> dict:
    return SchemaGenerator().get_schema(request=None, public=True)


urlpatterns = [
    path("v1/schema/", SpectacularAPIView.as_view(generator_class=SchemaOnce), name="api-schema"),
    path("docs/", SpectacularSwaggerSplitView.as_view(url_name="api-schema"), name="api-docs"),
    path("v1/", include([*(p for app in APPS for p in app.PATHS), *router().urls])),
]
