"""The Celery application: the legs. The truth is in the database; a message carries ids only."""

import os

from celery import Celery
from celery.signals import setup_logging
from django_structlog.celery.steps import DjangoStructLogInitStep

from config import filesystem_broker

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

filesystem_broker.use()
app = Celery("migration_personas")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.steps["worker"].add(DjangoStructLogInitStep)
app.autodiscover_tasks()


@setup_logging.connect
def keep_django_logging(**kwargs):
    """Django's LOGGING has already been applied; connected, Celery leaves the root logger alone."""
