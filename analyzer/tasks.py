"""The legs: a message carries an id, the service does the work, the database knows the outcome."""

from celery import shared_task
from django.utils import timezone

from analyzer.services.discovery import discoveries_sweep, source_discover_queued
from analyzer.services.drafts import drafts_refresh_all
from analyzer.services.estate import estate_count
from analyzer.services.fleet import fleet_rescore
from analyzer.services.hypervisors import hypervisors_collect_usage, staging_sweep
from analyzer.services.outcomes import drift_find, outcomes_teach
from analyzer.services.prometheus import usage_collect_all
from analyzer.services.rescans import rescans_queue
from analyzer.services.scans import running_scan_work, scan_work, scans_sweep
from analyzer.services.software_names import fingerprints_refresh
from analyzer.services.usage_retention import usage_roll_up


@shared_task(name="analyzer.scan")
def scan(scan_id: str) -> None:
    scan_work(scan_id=scan_id)


@shared_task(name="analyzer.scan_running")
def scan_running(source_id: str) -> None:
    running_scan_work(source_id=source_id)


@shared_task(name="analyzer.discover")
def discover(source_id: str) -> None:
    source_discover_queued(source_id=source_id)


@shared_task(name="analyzer.sweep")
def sweep() -> None:
    scans_sweep()
    discoveries_sweep()
    staging_sweep()


@shared_task(name="analyzer.roll_up")
def roll_up() -> None:
    usage_roll_up()


@shared_task(name="analyzer.rescan")
def rescan() -> None:
    rescans_queue()


@shared_task(name="analyzer.fleet")
def fleet() -> None:
    """Learns what became of suggestions, reads names anew, scores what changed, sees who is no longer what they were,
    then groups what fits nothing, and counts all for the map."""
    outcomes_teach()
    fingerprints_refresh()
    fleet_rescore()
    drift_find()
    drafts_refresh_all()
    estate_count(now=timezone.now())


@shared_task(name="analyzer.collect_usage")
def collect_usage() -> None:
    usage_collect_all()
    hypervisors_collect_usage()
