"""How long usage is kept, and how finely: as it came for some weeks, by the hour after that, then no more."""

from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from analyzer.domain.usage import HOUR_S, coarser
from analyzer.domain.usage_codec import packed
from analyzer.models import UsageSeries

BATCH = 500  # days of one transaction: writers of usage wait no longer than for these


def usage_roll_up() -> dict[str, int]:
    """{"rolled_up": days put into hours, "deleted": days too old}. It can be called again at any time; a day that
    somebody writes meanwhile is left for the next time."""
    today = timezone.now().date()
    too_old = UsageSeries.objects.filter(day__lt=today - timedelta(days=settings.USAGE_KEEP_DAYS))
    deleted, _ = too_old.delete()
    fine = UsageSeries.objects.filter(
        step_s__lt=HOUR_S, day__lt=today - timedelta(days=settings.USAGE_RAW_DAYS)
    )
    rolled_up, last = 0, 0
    while rows := list(fine.filter(pk__gt=last).order_by("pk")[:BATCH]):
        with transaction.atomic():
            rolled_up += sum(_roll_up(row) for row in rows)
        last = rows[-1].pk
    return {"rolled_up": rolled_up, "deleted": deleted}


def _roll_up(row: UsageSeries) -> int:
    as_it_was = UsageSeries.objects.filter(pk=row.pk, packed=row.packed)
    return as_it_was.update(step_s=HOUR_S, packed=packed(coarser(row.values, row.step_s, HOUR_S)))
