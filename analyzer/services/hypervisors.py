"""Sources that are hypervisors: how they are reached, their disks as files here, and the use of their machines."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from analyzer.domain.libvirt_address import BadAddress, LibvirtAddress, parse_libvirt_address
from analyzer.domain.libvirt_domain import kept_counters, rates
from analyzer.models import SourceEndpoint, SshAccess, SshHost, UsageCounters, VirtualMachine
from analyzer.models.source import LIBVIRT
from analyzer.services.ssh_access import door_of, login_of
from analyzer.services.usage import usage_store
from analyzer.sources.base import SourceError
from analyzer.sources.libvirt.copying import Watch
from analyzer.sources.libvirt.source import DiskFile, LibvirtSource
from personas.errors import BadInput, Refused

STEP_S = 900  # the schedule of `usage_collect`: one value is the mean since the last look
LEFT_BEHIND_S = 24 * 3600  # of a copy for a scan that was killed; a scan takes minutes


def checked_address(text: str, *, by) -> LibvirtAddress:
    """Raises BadInput. A hypervisor of this machine is this machine's root: a department's admin may not name one."""
    try:
        address = parse_libvirt_address(text)
    except BadAddress as error:
        raise BadInput({"location": [str(error)]}) from None
    if not address.is_remote and not by.is_superuser:
        raise BadInput(
            {
                "location": [
                    "Only an administrator of this installation may name a hypervisor of its own machine."
                ]
            }
        )
    return address


def hypervisor_of(source: SourceEndpoint) -> LibvirtSource:
    """Ready to be asked; nothing is connected yet. Raises Refused, of analyzer.sources.base as well."""
    options = {"socket_folder": settings.LIBVIRT_SOCKET_FOLDER}
    if not parse_libvirt_address(source.location).is_remote:
        return LibvirtSource(source.location, **options)
    if not SshAccess.objects.filter(source=source).exists():
        raise Refused(f"{source}: nobody has said yet how to log in to the hypervisor's machine.")
    host = SshHost.objects.filter(source=source, is_jump=False).first()
    return LibvirtSource(
        source.location, login=login_of(source), door=door_of(host) if host else None, **options
    )


def staging_folder(owner: str) -> Path:
    """Of whom copies are kept for; made when it is not there."""
    folder = settings.STAGING_DIR / owner
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def staging_discard(owner: str) -> None:
    shutil.rmtree(settings.STAGING_DIR / owner, ignore_errors=True)


@contextmanager
def disks_for_scan(hypervisor: LibvirtSource, vm: VirtualMachine, watch: Watch) -> Iterator[list[DiskFile]]:
    """The machine's disks of one moment; copies are gone afterwards. Raises SourceError."""
    owner = f"scan-{vm.pk}"
    try:
        yield hypervisor.disk_files(vm.external_id, staging_folder(owner), owner=owner, watch=watch)
    finally:
        staging_discard(owner)


def staging_sweep() -> list[str]:
    """Removes what killed scans left; what a run has put there goes with the run."""
    if not settings.STAGING_DIR.is_dir():
        return []
    old = [
        folder.name
        for folder in settings.STAGING_DIR.glob("scan-*")
        if time.time() - folder.stat().st_mtime > LEFT_BEHIND_S
    ]
    for owner in old:
        staging_discard(owner)
    return old


def hypervisors_collect_usage() -> int:
    """How many machines told something new. One that does not answer is asked again the next time."""
    return sum(_collected(source) for source in SourceEndpoint.objects.filter(kind=LIBVIRT))


def _collected(source: SourceEndpoint) -> int:
    try:
        told = hypervisor_of(source).counters()
    except (SourceError, Refused):
        return 0  # a discovery, a check and a scan say so where people look
    now = timezone.now()
    machines = VirtualMachine.objects.filter(source=source, external_id__in=list(told))
    return sum(usage_keep(vm=vm, counters=told[vm.external_id], now=now) for vm in machines)


@transaction.atomic
def usage_keep(*, vm: VirtualMachine, counters: dict[str, str], now: datetime) -> bool:
    """Stores the means since the last look, if there was one that is not too old; True where there were some."""
    row = UsageCounters.objects.select_for_update().filter(vm=vm).first()
    after = kept_counters(counters)
    seconds = (now - row.taken_at).total_seconds() if row else 0.0
    found = rates(row.values, after, seconds) if row else {}
    if row and 0 <= seconds < 30:
        return False  # two workers at once: the first one's look stays
    UsageCounters.objects.update_or_create(vm=vm, defaults={"taken_at": now, "values": after})
    if found:
        middle = int(now.timestamp() - seconds / 2)
        samples = {metric: [(middle, value)] for metric, value in found.items()}
        usage_store(vm=vm, samples=samples, steps=dict.fromkeys(samples, STEP_S))
    return bool(found)
