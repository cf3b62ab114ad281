"""Ansible facts as JSON: of one host, of a list, or of a map of host names to facts (a facts cache)."""

import json
from collections.abc import Iterator
from typing import Any

from analyzer.domain.inventory import ImportedMachine, Inventory, RowError, Unreadable, collected
from analyzer.domain.inventory import machine_or_errors as built
from analyzer.domain.os_names import os_of

_SECTOR = 512  # the kernel counts sectors of 512 bytes, whatever the disk's own are
_NO_DISKS = ("loop", "ram", "zram", "sr", "dm-", "md", "fd", "nbd")


def read(data: bytes) -> Inventory:
    """Raises Unreadable for what is not JSON or holds no facts."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"it is not JSON: {str(error)[:120]}") from None
    hosts = list(_hosts(document))
    if not any(_is_facts(facts) for _, facts in hosts):
        raise Unreadable("it holds no Ansible facts: give what the module setup prints")
    return collected("ansible", _machines(hosts))


def _hosts(document: Any) -> Iterator[tuple[str, Any]]:
    """(name of the host in the inventory or "", its facts)"""
    if isinstance(document, list):
        for each in document:
            yield "", _bare(each)
    elif isinstance(document, dict) and not _is_facts(_bare(document)):
        for name, each in document.items():
            yield name, _bare(each)
    else:
        yield "", _bare(document)


def _bare(document: Any) -> Any:
    return document.get("ansible_facts", document) if isinstance(document, dict) else document


def _is_facts(document: Any) -> bool:
    return isinstance(document, dict) and any(key in document for key in ("ansible_hostname", "hostname"))


def _machines(hosts: list[tuple[str, Any]]) -> Iterator[ImportedMachine | RowError]:
    """`row` counts the hosts from 1."""
    for row, (name, facts) in enumerate(hosts, start=1):
        if not _is_facts(facts):
            yield RowError(row=row, field="", message="holds no facts (was the host unreachable?)")
            continue
        made = built(row, _values(name, facts))
        yield from made if isinstance(made, list) else [made]


def _values(name: str, facts: dict) -> dict[str, Any]:
    def fact(key: str) -> Any:
        return facts.get(f"ansible_{key}", facts.get(key))

    os_id, os_version = os_of(f"{fact('distribution')} {fact('os_family')}", fact("distribution_version"))
    host = fact("fqdn") or fact("hostname")
    uuid = str(fact("product_uuid") or "").lower()
    return {
        "external_id": uuid
        if "-" in uuid
        else fact("machine_id"),  # else it is "NA": facts gathered without root
        "name": name or fact("hostname"),
        "hostname": host,
        "vcpus": fact("processor_vcpus"),
        "memory_mib": fact("memtotal_mb"),
        "disks": tuple(_disks(fact("devices"))),
        "nics": tuple(_nics(fact, fact("interfaces"))),
        "os_id": os_id,
        "os_version": os_version,
        "power_state": "on",
    }


def _disks(devices: Any) -> Iterator[int]:
    for name, device in sorted(devices.items()) if isinstance(devices, dict) else ():
        sectors = str(device.get("sectors", "")) if isinstance(device, dict) else ""
        if not name.startswith(_NO_DISKS) and sectors.isdecimal() and sectors.isascii() and int(sectors):
            yield int(sectors) * _SECTOR


def _nics(fact, names: Any) -> Iterator[dict[str, str]]:
    for name in sorted(map(str, names)) if isinstance(names, list) else ():
        card = fact(name.replace("-", "_").replace(".", "_"))
        if isinstance(card, dict) and card.get("type") == "ether" and not name.startswith("veth"):
            yield {"mac": str(card.get("macaddress", "")), "network": ""}
