from django.apps import AppConfig


class MigrationsConfig(AppConfig):
    name = "migrations_engine"
    verbose_name = "Migrations"

    def ready(self):
        from migrations_engine import pipeline  # noqa: F401  registers the sweeper with Celery, which looks into tasks.py only
