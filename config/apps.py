from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig


class AssemblyConfig(AppConfig):
    """`config` as an app: page components, health, quickstart. Loads Celery, so that tasks know their broker, and lends
    the engine's plan to the marketplace's forecast."""

    name = "config"
    label = "config"

    def ready(self):
        from config import celery  # noqa: F401  settings must be complete first
        from marketplace.services.forecast import PLANNERS
        from migrations_engine.services.plan import plan_make

        PLANNERS[:] = [plan_make]


class ProductAdminConfig(AdminConfig):
    default = False  # `config` as an app is the one above
    default_site = "config.admin_site.Site"
