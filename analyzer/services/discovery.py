"""Discovery: what the source shows becomes rows. A machine is known by its external id, never by name or path."""

import uuid
from collections.abc import Sequence
from datetime import timedelta

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from analyzer.models import Disk, Nic, SourceEndpoint, VirtualMachine
from analyzer.sources.base import Machine, Skipped, SourceError
from analyzer.sources.registry import source_of_kind
from personas.errors import Refused
from personas.models import Role
from personas.services.access import require
from personas.services.audit import record

DUE_S = 120  # a discovery that is silent for so long is sent again
MAX_SKIPPED = 200  # of a report; a person looks at the first ones


@transaction.atomic
def source_discover_request(*, source: SourceEndpoint, by) -> SourceEndpoint:
    """Marks the source; the caller sends the message (analyzer.tasks.send_discovery). Asking twice is asking once."""
    require(by=by, department=source.department, role=Role.OPERATOR)
    now = timezone.now()
    free = SourceEndpoint.objects.filter(pk=source.pk, discovery_requested_at__isnull=True)
    due = now + timedelta(seconds=DUE_S)
    if free.update(discovery_requested_at=now, discovery_requested_by=by, discovery_due_at=due):
        record(by=by, action="source.discover", obj=source)
    source.refresh_from_db()
    return source


def source_discover_queued(*, source_id: uuid.UUID) -> None:
    """What was asked for, done by a worker. An error of the source stays on its row for people to read."""
    source = SourceEndpoint.objects.filter(pk=source_id, discovery_requested_at__isnull=False).first()
    if source is None:
        return  # done by another worker, or deleted
    try:
        _discover(source, source.discovery_requested_by)
    except Refused:
        return  # it stands in discovery_error


def discoveries_overdue() -> list[uuid.UUID]:
    """Asked for and not done in time: to be sent again."""
    now = timezone.now()
    overdue = SourceEndpoint.objects.filter(discovery_requested_at__isnull=False, discovery_due_at__lt=now)
    due = now + timedelta(seconds=DUE_S)
    found = list(overdue.values_list("pk", flat=True))
    return [pk for pk in found if overdue.filter(pk=pk).update(discovery_due_at=due)]


def source_discover(*, source: SourceEndpoint, by) -> dict:
    """Looks now: {"found", "added", "moved", "missing", "skipped": [{"name", "reason"}]}. Raises Refused when the
    source does not answer; what is known of its machines then stays as it is."""
    require(by=by, department=source.department, role=Role.OPERATOR)
    return _discover(source, by)


def _discover(source: SourceEndpoint, by) -> dict:
    try:
        seen = list(source_of_kind(source.kind, source.location).machines())
    except SourceError as error:
        _close(source, discovery_error=str(error)[:500])
        raise Refused(f"{source} does not answer: {error}") from None
    machines = [each for each in seen if isinstance(each, Machine)]
    skipped = [each for each in seen if isinstance(each, Skipped)]
    return _store(source, machines, skipped, by)


@transaction.atomic
def _store(source: SourceEndpoint, machines: Sequence[Machine], skipped: Sequence[Skipped], by) -> dict:
    source = SourceEndpoint.objects.select_for_update().get(pk=source.pk)
    known = {vm.external_id: vm for vm in source.machines.prefetch_related("disks")}
    report = {"found": len(machines), "added": 0, "moved": 0, "missing": 0}
    for machine in machines:
        report[_upsert(source, known.get(machine.external_id), machine)] += 1
    report.pop("kept", None)
    gone = source.machines.exclude(external_id__in=[each.external_id for each in machines])
    report["missing"] = gone.count()
    gone.filter(missing_since__isnull=True).update(missing_since=timezone.now())
    report["skipped"] = [{"name": each.name, "reason": each.reason} for each in skipped[:MAX_SKIPPED]]
    _close(source, discovery_error="", discovery_report=report, discovered_at=timezone.now())
    told = {**report, "skipped": len(skipped)}
    record(by=by, action="source.discovered", obj=source, after=told)
    return report


def _close(source: SourceEndpoint, **columns) -> None:
    SourceEndpoint.objects.filter(pk=source.pk).update(
        discovery_requested_at=None, discovery_due_at=None, **columns
    )
