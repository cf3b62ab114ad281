"""RVTools: the vInfo, vDisk and vNetwork tabs.

Releases up to 3 write `MB` in the headers, later ones `MiB`; the values were MiB all the time. Tabs are joined by
the machine's UUID, id or name, each only where one machine has it:
vm-42 is there once per vCenter, a name perhaps twice.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from analyzer.domain.inventory import MIB, ImportedMachine, Inventory, RowError, Unreadable, collected
from analyzer.domain.inventory import machine_or_errors as built
from analyzer.domain.os_names import os_of
from analyzer.domain.printable import printable
from analyzer.importers.table import Record, records
from analyzer.importers.words import firmware, power, size_bytes, told

TABS = ("vinfo", "vdisk", "vnetwork")
_NETWORKS = tuple(f"network#{number}" for number in range(1, 9))

_KEYS = ("vmuuid", "vmid", "vm")  # by which tabs are joined, the surest first

Tabs = Mapping[str, Iterable[Sequence[Any]]]
_Known = Mapping[str, Counter]  # how many machines of vInfo have this value of that key


def read(tabs: Tabs) -> Inventory:
    """`tabs`: rows of each tab, by its name in small letters; only vinfo has to be there. Raises Unreadable."""
    left_out: list[RowError] = []
    machines = [each for each in records(tabs.get("vinfo", ())) if not _left_out(each, left_out)]
    if not machines and not left_out:
        raise Unreadable("its vInfo tab has no machines")
    disks, nics = _Joined(tabs.get("vdisk", ())), _Joined(tabs.get("vnetwork", ()))
    known = {key: Counter(_text(each, key) for each in machines) for key in _KEYS}
    return collected("rvtools", _machines(machines, disks, nics, known), left_out)


def _left_out(record: Record, left_out: list[RowError]) -> bool:
    for column, word in (("template", "a template"), ("srmplaceholder", "a placeholder of a recovery site")):
        if str(record[column]).lower() in ("true", "1", "1.0"):
            message = f"{printable(str(record['vm']), 80)} is {word}"
            left_out.append(RowError(row=record.row, field="", message=message))
            return True
    return False


class _Joined:
    """Rows of another tab, found again by the machine that they belong to."""

    def __init__(self, rows: Iterable[Sequence[Any]]):
        self._by: dict[str, dict[str, list[Record]]] = {key: defaultdict(list) for key in _KEYS}
        for record in records(rows):
            for key, found in self._by.items():
                if value := _text(record, key):
                    found[value].append(record)

    def of(self, machine: Record, known: _Known) -> list[Record]:
        for key, found in self._by.items():
            value = _text(machine, key)
            if value in found and known[key][value] == 1:
                return found[value]
        return []


def _text(record: Record, key: str) -> str:
    return str(record[key]).lower()


def _machines(
    found: list[Record], disks: _Joined, nics: _Joined, known: _Known
) -> Iterator[ImportedMachine | RowError]:
    for record in found:
        try:
            sizes = _sizes(disks.of(record, known))
        except ValueError as error:
            yield RowError(row=record.row, field="disks", message=str(error))
            continue
        made = built(record.row, _values(record, nics.of(record, known)) | {"disks": sizes})
        yield from made if isinstance(made, list) else [made]


def _sizes(disks: list[Record]) -> tuple[int, ...]:
    cells = (disk.first("capacitymib", "capacitymb") for disk in disks)
    return tuple(size for cell in cells if (size := size_bytes(cell, MIB)))


def _values(record: Record, nics: list[Record]) -> dict[str, Any]:
    os_id, os_version = os_of(
        record.first("osaccordingtothevmwaretools", "osaccordingtotheconfigurationfile", "os")
    )
    cards = tuple({"mac": nic.first("macaddress", "mac"), "network": nic["network"]} for nic in nics)
    return {
        "external_id": _identity(record),
        "name": record["vm"],
        "hostname": record["dnsname"],
        "vcpus": record.first("cpus", "#cpus"),
        "memory_mib": record.first("memory", "memorymib", "memorymb"),
        "nics": cards or tuple({"network": record[key]} for key in _NETWORKS if record[key]),
        "os_id": os_id,
        "os_version": os_version,
        "power_state": power(record["powerstate"]),
        "firmware": firmware(record["firmware"]),
        "tags": told(datacenter=record["datacenter"], cluster=record["cluster"], folder=record["folder"]),
    }


def _identity(record: Record) -> str:
    """Never the name: it changes, and two machines may share it."""
    if uuid := str(record.first("vmuuid", "uuid")).lower():
        return uuid
    place = str(record.first("visdkuuid", "visdkserver"))
    return f"{place}/{record['vmid']}".strip("/") if record["vmid"] else ""
