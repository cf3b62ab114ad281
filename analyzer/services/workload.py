"""Concerns of a workload, drawn when a scan ends: from its facts, its earlier scans and the machines beside it."""

import re

from django.utils import timezone

from analyzer.domain.facts import Facts
from analyzer.domain.workload import Used, workload_concerns
from analyzer.models import Package, Scan, VirtualMachine

MOST_SCANS = 12  # of a disk's history: with daily scans two weeks, with weekly ones a season
MOST_CONCERNS = 256  # of facts
DAY_S = 86_400
IMAGE_PACKAGE = re.compile(r"linux-image-(\d.*)")


def with_workload_concerns(scan: Scan, facts: Facts) -> Facts:
    found = workload_concerns(
        facts,
        today=timezone.now().date(),
        kernels_nearby=_kernels_nearby(scan.vm, facts),
        used=_used(scan, facts),
    )
    return (
        facts.model_copy(update={"concerns": (*facts.concerns, *found)[:MOST_CONCERNS]}) if found else facts
    )


def _kernels_nearby(vm: VirtualMachine, facts: Facts) -> set[str]:
    """Of dpkg the package's name says which kernel, of rpm its version."""
    near = Package.objects.filter(vm__department=vm.department_id, vm__os_id=facts.os.id).exclude(vm=vm)
    near = near.filter(vm__os_version=facts.os.version).order_by()
    named = near.filter(name__startswith="linux-image-").values_list("name", flat=True).distinct()
    found = {match[1] for match in map(IMAGE_PACKAGE.fullmatch, named) if match}
    built = near.filter(name__in=("kernel", "kernel-core")).values_list("version", flat=True).distinct()
    return found | {f"{version.rpartition(':')[2]}.{facts.architecture}" for version in built}


def _used(scan: Scan, facts: Facts) -> dict[str, Used]:
    earlier = Scan.objects.looked().filter(vm=scan.vm, facts__isnull=False).exclude(pk=scan.pk)
    rows = earlier.values_list("created_at", "facts__filesystems")[:MOST_SCANS]
    looks = [(at, told or []) for at, told in rows][::-1]
    looks.append((scan.created_at, [each.model_dump() for each in facts.filesystems]))
    found: dict[str, list[tuple[float, int, int]]] = {}
    for at, filesystems in looks:
        for each in filesystems:
            if each.get("mount_point") and each.get("used_bytes") is not None and each.get("size_bytes"):
                sample = (at.timestamp() / DAY_S, each["used_bytes"], each["size_bytes"])
                found.setdefault(each["mount_point"], []).append(sample)
    present = {each.mount_point for each in facts.filesystems}
    return {mount: history for mount, history in found.items() if mount in present}
