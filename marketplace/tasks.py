"""What the clock does for the marketplace."""

from celery import shared_task

from marketplace.services.catalogues import catalogues_refresh
from marketplace.services.refunds import orders_settle
from marketplace.services.renewals import subscriptions_renew


@shared_task(name="marketplace.settle")
def settle() -> None:
    orders_settle()


@shared_task(name="marketplace.renew")
def renew() -> None:
    subscriptions_renew()


@shared_task(name="marketplace.catalogues")
def catalogues() -> None:
    catalogues_refresh()
