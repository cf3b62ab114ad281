from django.apps import AppConfig


class MigrationsConfig(AppConfig):
    name = "migrations_engine"
    verbose_name = "Migrations"
