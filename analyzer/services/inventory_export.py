"""Machines as files that Azure Migrate, AWS MGN and this product read. No cell of them is a formula."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from itertools import chain

from analyzer.domain.inventory import GIB
from analyzer.importers.table import safe
from analyzer.models import SourceEndpoint, VirtualMachine

_AZURE = (
    "*Server name", "IP addresses", "*Cores", "*Memory (In MB)", "*OS name", "OS version", "OS architecture",
    "Server type", "Hypervisor", "CPU utilization percentage", "Memory utilization percentage", "Network adapters",
    "Network In throughput", "Network Out throughput", "Boot type", "Number of disks",
)  # fmt: skip
_MGN = (
    "mgn:account-id", "mgn:region", "mgn:wave:name", "mgn:app:name", "mgn:server:user-provided-id",
    "mgn:server:platform", "mgn:server:tag:Name", "mgn:server:fqdn-for-action-framework", "mgn:launch:instance-type",
)  # fmt: skip
_OWN = (
    "external_id", "name", "hostname", "vcpus", "memory_mib", "disks_gib", "macs", "networks", "os", "os_version",
    "power_state", "firmware", "tags",
)  # fmt: skip
_BOOT = {"uefi": "EFI", "bios": "BIOS"}


def inventory_export(rows: Iterable[VirtualMachine], file_format: str) -> Iterator[str]:
    """Lines of CSV. `rows` come with their disks and nics prefetched. KeyError for a format not in EXPORTS."""
    header, cells = EXPORTS[file_format]
    machines = list(rows)
    yield from _lines(chain([header(machines)], map(cells(machines), machines)))


def source_lines(source: SourceEndpoint, file_format: str) -> Iterator[str]:
    """The machines that the source shows today, by name."""
    rows = (
        source.machines.filter(missing_since__isnull=True)
        .prefetch_related("disks", "nics")
        .order_by("name", "pk")
    )
    return inventory_export(rows, file_format)


def _lines(rows: Iterable[Iterable[object]]) -> Iterator[str]:
    for row in rows:
        line = io.StringIO()
        csv.writer(line).writerow([safe(cell) for cell in row])
        yield line.getvalue()


def _most_disks(machines: list[VirtualMachine]) -> int:
    return max((len(vm.disks.all()) for vm in machines), default=0)


def _azure_header(machines: list[VirtualMachine]) -> list[str]:
    return [*_AZURE, *(f"Disk {number} size (In GB)" for number in range(1, _most_disks(machines) + 1))]


def _azure_cells(machines: list[VirtualMachine]) -> Callable[[VirtualMachine], list]:
    most = _most_disks(machines)

    def cells(vm: VirtualMachine) -> list:
        sizes = [_gib(disk.virtual_size_bytes) for disk in vm.disks.all()]
        told = [vm.name, vm.tags.get("addresses", ""), vm.vcpus, vm.memory_mib, vm.os_id, vm.os_version, ""]
        told += ["Virtual", vm.tags.get("hypervisor", ""), "", "", len(vm.nics.all()) or "", "", ""]
        return [*told, _BOOT.get(vm.firmware, ""), len(sizes) or "", *sizes, *[""] * (most - len(sizes))]

    return cells


def _mgn_cells(machines: list[VirtualMachine]) -> Callable[[VirtualMachine], list]:
    def cells(vm: VirtualMachine) -> list:
        platform = "WINDOWS" if vm.os_id == "windows" else "LINUX" if vm.os_id else ""
        wave, application = vm.tags.get("wave", ""), vm.tags.get("application", "")
        return ["", "", wave, application, vm.external_id, platform, vm.name, vm.hostname, ""]

    return cells


def _own_cells(machines: list[VirtualMachine]) -> Callable[[VirtualMachine], list]:
    def cells(vm: VirtualMachine) -> list:
        nics = vm.nics.all()
        sizes = ";".join(_gib(disk.virtual_size_bytes) for disk in vm.disks.all())
        macs, networks = ";".join(nic.mac for nic in nics), ";".join(nic.network for nic in nics)
        tags = ";".join(f"{key}={value}" for key, value in vm.tags.items())
        told = [vm.external_id, vm.name, vm.hostname, vm.vcpus, vm.memory_mib, sizes, macs, networks]
        return [*told, vm.os_id, vm.os_version, vm.power_state, vm.firmware, tags]

    return cells


def _gib(size: int) -> str:
    return f"{size / GIB:.9f}".rstrip("0").rstrip(".")


EXPORT_NAMES = {
    "azure_migrate": "Azure Migrate CSV",
    "mgn": "AWS MGN CSV",
    "csv": "CSV with all that is known",
}
EXPORTS = {  # what a file is called: (header, cells), each told the machines first
    "azure_migrate": (_azure_header, _azure_cells),
    "mgn": (lambda machines: list(_MGN), _mgn_cells),
    "csv": (lambda machines: list(_OWN), _own_cells),
}
