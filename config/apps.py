from django.apps import AppConfig


class AssemblyConfig(AppConfig):
    """`config` as an app: page components, health, quickstart. Loads Celery, so that tasks know their broker."""

    name = "config"
    label = "config"

    def ready(self):
        from config import celery  # noqa: F401  settings must be complete first
