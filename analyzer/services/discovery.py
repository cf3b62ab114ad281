"""Discovery: what the source shows becomes rows. A machine is known by its external id, never by name or path."""

import uuid
from collections.abc import Sequence
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from analyzer.domain.inventory import MAX_DISK_BYTES
from analyzer.models import Disk, Nic, SourceEndpoint, SshHost, VirtualMachine
from analyzer.services.hypervisors import hypervisor_of
from analyzer.services.machines import resize_record, size_owned
from analyzer.services.messages import EXPIRES_S, send_on_commit
from analyzer.services.ssh_access import contacted
from analyzer.sources.base import Machine, Skipped, SourceError
from analyzer.sources.registry import source_of_kind
from personas.errors import Refused
from personas.models import Role
from personas.services.access import require
from personas.services.audit import record

TASK = "analyzer.discover"
DUE_S = EXPIRES_S  # a discovery that is silent for so long is sent again
MAX_SKIPPED = 200  # of a report; a person looks at the first ones


@transaction.atomic
def source_discover_request(*, source: SourceEndpoint, by) -> SourceEndpoint:
    """Has a worker look. Asking twice is asking once."""
    require(by=by, department=source.department, role=Role.OPERATOR)
    if source.is_inventory:
        raise Refused(f"{source} is filled by importing a file: there is nothing to discover.")
    now = timezone.now()
    free = SourceEndpoint.objects.filter(pk=source.pk, discovery_requested_at__isnull=True)
    due = now + timedelta(seconds=DUE_S)
    if free.update(discovery_requested_at=now, discovery_requested_by=by, discovery_due_at=due):
        record(by=by, action="source.discover", obj=source)
        send_on_commit(TASK, source.pk)
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


def discoveries_sweep() -> list[uuid.UUID]:
    """Sends again what was asked for and not done in time; returns these sources."""
    now = timezone.now()
    overdue = SourceEndpoint.objects.filter(discovery_requested_at__isnull=False, discovery_due_at__lt=now)
    due = now + timedelta(seconds=DUE_S)
    found = list(overdue.values_list("pk", flat=True))
    again = [pk for pk in found if overdue.filter(pk=pk).update(discovery_due_at=due)]
    for source_id in again:
        send_on_commit(TASK, source_id)
    return again


def source_discover(*, source: SourceEndpoint, by) -> dict:
    """Looks now: {"found", "added", "moved", "kept", "missing", "skipped": [{"name", "reason"}]}. Raises Refused
    when the source does not answer; what is known of its machines then stays as it is."""
    require(by=by, department=source.department, role=Role.OPERATOR)
    return _discover(source, by)


def _discover(source: SourceEndpoint, by) -> dict:
    try:
        seen = _shown(source)
    except (SourceError, Refused) as error:
        _close(source, discovery_error=str(error)[:500])
        raise Refused(f"{source} does not answer: {error}") from None
    skipped = [each for each in seen if isinstance(each, Skipped)]
    machines = []
    for each in (each for each in seen if isinstance(each, Machine)):
        if wrong := _cannot_be_kept(each):
            skipped.append(Skipped(each.name, wrong))
        else:
            machines.append(each)
    return _store(source, machines, skipped, by)


def _shown(source: SourceEndpoint) -> list[Machine | Skipped]:
    """What the source shows now. Of running machines each that is listed; whether it answers stands on its door."""
    if source.is_ssh:
        doors = [door for door in contacted(source) if not door.is_jump]
        return [Machine(str(door), door.host, (), power_state=_power(door)) for door in doors]
    if source.is_libvirt:
        if source.ssh_hosts.filter(pinned_key="").exists():
            contacted(source)  # so that there is a key to confirm
        return list(hypervisor_of(source).machines())
    return list(source_of_kind(source.kind, source.location).machines(known=_known(source)))


def _power(door: SshHost) -> str:
    return "unknown" if door.problem else "on"


def _known(source: SourceEndpoint) -> dict[str, str]:
    """External id → where the machine was last seen."""
    disks = Disk.objects.filter(vm__source=source, index=0)
    return dict(disks.values_list("vm__external_id", "path"))


def _cannot_be_kept(machine: Machine) -> str:
    """A file name may be any bytes; a row holds text."""
    longest = Disk._meta.get_field("path").max_length
    for disk in machine.disks:
        path = str(disk.path)
        if len(path) > longest:
            return f"its path is longer than {longest} characters"
        if not path.isprintable():
            return "its path holds characters that cannot be shown (control characters, not UTF-8): rename it"
        if disk.virtual_size_bytes > MAX_DISK_BYTES:
            return "it says that its disk has more than a PiB"
    return ""


@transaction.atomic
def _store(source: SourceEndpoint, machines: Sequence[Machine], skipped: Sequence[Skipped], by) -> dict:
    source = SourceEndpoint.objects.select_for_update().get(pk=source.pk)
    known = {vm.external_id: vm for vm in source.machines.prefetch_related("disks")}
    report = {"found": len(machines), "added": 0, "moved": 0, "kept": 0, "missing": 0}
    for machine in machines:
        report[_upsert(source, known.get(machine.external_id), machine, by)] += 1
    gone = source.machines.exclude(external_id__in=[each.external_id for each in machines])
    report["missing"] = gone.count()
    gone.filter(missing_since__isnull=True).update(missing_since=timezone.now())
    report["skipped"] = [{"name": each.name, "reason": each.reason} for each in skipped[:MAX_SKIPPED]]
    _close(source, discovery_error="", discovery_report=report, discovered_at=timezone.now())
    told = {**report, "skipped": len(skipped)}
    record(by=by, action="source.discovered", obj=source, after=told)
    return report


def _upsert(source: SourceEndpoint, vm: VirtualMachine | None, found: Machine, by) -> str:
    """Says "added", "moved" or "kept". What a scan or a person told stays where the source tells nothing."""
    place = str(found.disks[0].path) if found.disks else ""
    if vm is None:
        outcome = "added"
        vm = VirtualMachine(source=source, department=source.department, external_id=found.external_id)
    else:
        before = [disk.path for disk in vm.disks.all()]
        outcome = "kept" if not place or before[:1] == [place] else "moved"
    size = size_owned(vm)
    vm.name, vm.power_state, vm.missing_since = found.name, found.power_state, None
    vm.firmware = vm.firmware or found.firmware
    vm.vcpus = found.vcpus or vm.vcpus
    vm.memory_mib = found.memory_mib or vm.memory_mib
    vm.full_clean()
    vm.save()
    resize_record(vm=vm, before=size, by=by)
    _store_disks(vm, found)
    _store_nics(vm, found)
    return outcome


def _store_nics(vm: VirtualMachine, found: Machine) -> None:
    if found.nics is None:
        return  # the source does not tell
    for index, nic in enumerate(found.nics):
        Nic.objects.update_or_create(vm=vm, index=index, defaults={"mac": nic.mac, "network": nic.network})
    vm.nics.filter(index__gte=len(found.nics)).delete()


def _store_disks(vm: VirtualMachine, found: Machine) -> None:
    for index, disk in enumerate(found.disks):
        told = {
            "path": str(disk.path),
            "format": disk.format,
            "virtual_size_bytes": disk.virtual_size_bytes,
            "allocated_bytes": disk.allocated_bytes,
        }
        Disk.objects.update_or_create(vm=vm, index=index, defaults=told)
    vm.disks.filter(index__gte=len(found.disks)).delete()


def _close(source: SourceEndpoint, **columns) -> None:
    SourceEndpoint.objects.filter(pk=source.pk).update(
        discovery_requested_at=None, discovery_due_at=None, **columns
    )
