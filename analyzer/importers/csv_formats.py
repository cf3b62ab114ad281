"""The CSV files: Azure Migrate, AWS Application Discovery, AWS MGN, RVTools' vInfo tab, and our own."""

import re
from collections.abc import Callable, Iterator
from itertools import chain, zip_longest
from typing import Any

from analyzer.domain.inventory import GIB, ImportedMachine, Inventory, RowError, Unreadable, collected
from analyzer.domain.inventory import machine_or_errors as built
from analyzer.domain.os_names import os_of
from analyzer.importers import rvtools
from analyzer.importers.table import Record, column_key, csv_rows, records
from analyzer.importers.words import firmware, listed, pairs, power, size_bytes, told

_AZURE_DISK = re.compile(r"disk(\d+)sizeingb")
_MGN_TAG = "mgn:server:tag:"


def read(data: bytes) -> Inventory:
    """Raises Unreadable for a header that no known tool writes."""
    rows = csv_rows(data)
    header = next((row for row in rows if any(cell.strip() for cell in row)), [])
    keys = {column_key(cell) for cell in header}
    if {"vm", "powerstate", "cpus"} <= keys:
        return rvtools.read({"vinfo": chain([header], rows)})
    for name, marks, values in _FORMATS:
        if marks <= keys:
            return collected(name, _machines(records(chain([header], rows)), values))
    raise Unreadable("its columns are not those of a known inventory: compare it with the samples")


def _machines(found: Iterator[Record], values: Callable) -> Iterator[ImportedMachine | RowError]:
    for record in found:
        try:
            made = built(record.row, values(record))
        except _WrongCell as error:
            made = [RowError(row=record.row, field=error.field, message=str(error))]
        yield from made if isinstance(made, list) else [made]


class _WrongCell(ValueError):
    def __init__(self, field: str, message: str):
        super().__init__(message)
        self.field = field


def _disks(cells: list[Any]) -> tuple[int, ...]:
    """The files say GB and mean what hypervisors show: GiB."""
    try:
        return tuple(size for cell in cells if (size := size_bytes(cell, GIB)))
    except ValueError as error:
        raise _WrongCell("disks", str(error)) from None


def _azure(record: Record) -> dict[str, Any]:
    """The template knows no id but the server's name, which has to be unique in it."""
    os_id, os_version = os_of(record["osname"], record["osversion"])
    name = str(record["servername"])
    disks = [cell for header, cell in record.items() if _AZURE_DISK.fullmatch(column_key(header))]
    return {
        "external_id": f"name:{name.lower()}" if name else "",
        "name": name,
        "vcpus": record["cores"],
        "memory_mib": record.first("memoryinmb", "memorymb"),
        "disks": _disks(disks),
        "nics": tuple({} for _ in range(_count(record["networkadapters"]))),
        "os_id": os_id,
        "os_version": os_version,
        "firmware": firmware(record["boottype"]),
        "tags": told(addresses=record.first("ipaddresses", "ipaddress"), hypervisor=record["hypervisor"]),
    }


def _count(cell: Any) -> int:
    return min(int(cell), 64) if str(cell).isdecimal() and str(cell).isascii() else 0


def _discovery(record: Record) -> dict[str, Any]:
    os_id, os_version = os_of(record["osname"], record["osversion"])
    reference = record["vmwaremorefid"]
    moref = f"{record['vmwarevcenterid']}/{reference}" if reference else ""
    own = record.first("externalid", "serverid", "smbiosid") or moref
    return {
        "external_id": own or record.first("macaddress", "hostname"),
        "name": record.first("vmwarevmname", "hostname", "externalid") or own,
        "hostname": record["hostname"],
        "vcpus": record.first("cpunumberoflogicalcores", "cpunumberofcores", "cpunumberofprocessors"),
        "memory_mib": record["ramtotalsizeinmb"],
        "nics": tuple({"mac": mac.strip()} for mac in str(record["macaddress"]).split(",") if mac.strip()),
        "os_id": os_id,
        "os_version": os_version,
        "tags": pairs(record["tags"], ",", ":") | told(applications=record["applications"]),
    }


def _mgn(record: Record) -> dict[str, Any]:
    tags = {
        header.strip()[len(_MGN_TAG) :]: str(cell)
        for header, cell in record.items()
        if header.strip().lower().startswith(_MGN_TAG) and cell != ""
    }
    identity = record["mgnserveruserprovidedid"]
    host = record["mgnserverfqdnforactionframework"]
    return {
        "external_id": identity,
        "name": tags.pop("Name", "") or host or identity,
        "hostname": host,
        "os_id": os_of(record["mgnserverplatform"])[0],
        "tags": tags | told(application=record["mgnappname"], wave=record["mgnwavename"]),
    }


def _own(record: Record) -> dict[str, Any]:
    cards = zip_longest(str(record["macs"]).split(";"), str(record["networks"]).split(";"), fillvalue="")
    os_id, os_version = os_of(record["os"], record["osversion"])
    return {
        "external_id": record["externalid"],
        "name": record["name"],
        "hostname": record["hostname"],
        "vcpus": record["vcpus"],
        "memory_mib": record["memorymib"],
        "disks": _disks(listed(record["disksgib"])),
        "nics": tuple({"mac": mac, "network": network} for mac, network in cards if mac or network),
        "os_id": os_id,
        "os_version": os_version,
        "power_state": power(record["powerstate"]),
        "firmware": firmware(record["firmware"]),
        "tags": pairs(record["tags"], ";", "="),
    }


_FORMATS = (  # name, columns that only this one has, what they mean
    ("mgn", {"mgnserveruserprovidedid"}, _mgn),
    ("aws_discovery", {"hostname", "ramtotalsizeinmb"}, _discovery),
    ("azure_migrate", {"servername", "cores"}, _azure),
    ("csv", {"externalid", "name", "vcpus"}, _own),
)
