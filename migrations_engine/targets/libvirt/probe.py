"""What a hypervisor says of itself."""

import re
from xml.etree.ElementTree import Element

from migrations_engine.targets.base import TargetInfo
from migrations_engine.targets.libvirt.link import LibvirtFailed, Link
from migrations_engine.targets.libvirt.pool import FILE_POOLS

NOT_TRIED = "nobody has tried yet whether a guest lives on KVM there: check the connection"
TRIED = {"kvm": "a guest lived on it", "tcg": "no guest lived on KVM there"}


def probe(link: Link) -> TargetInfo:
    """Quick, and not patient: somebody waits for the page. Raises LibvirtFailed."""
    place = link.place
    said = link.ask("version", patient=False)
    found = re.search(r"Running hypervisor: (.+)", said)
    pool = pool_document(link)
    return TargetInfo(
        version=f"{found[1] if found else 'unknown'}, libvirt {_library(said)}",
        accelerator=place.accelerator or "tcg",
        vcpus=_number(r"CPU\(s\):\s+(\d+)", link.ask("nodeinfo", patient=False)),
        memory_mib=_free_mib(link.ask("nodememstats", patient=False)),
        free_bytes=int(pool.findtext("available") or 0),
        firmwares=_firmwares(link),
        detail=TRIED.get(place.accelerator, NOT_TRIED),
    )


def pool_document(link: Link) -> Element:
    """Raises LibvirtFailed where it is not there, or not of files."""
    document = link.xml("pool-dumpxml", link.place.pool, patient=False)
    if document.get("type") not in FILE_POOLS:
        raise LibvirtFailed(
            f"The pool {link.place.pool} is of type {document.get('type')}: disks are uploaded to pools of files only"
            f" ({', '.join(FILE_POOLS)}).",
            "unsupported",
        )
    return document


def _library(said: str) -> str:
    found = re.search(r"Using library: libvirt (\S+)", said)
    return found[1] if found else "unknown"


def _free_mib(said: str) -> int:
    """As MemAvailable, nearly: what is free, and what the kernel would give back."""
    return sum(_number(rf"{name}\s*:\s+(\d+) KiB", said) for name in ("free", "buffers", "cached")) // 1024


def _firmwares(link: Link) -> tuple[str, ...]:
    words = ("domcapabilities", "--virttype", "qemu", "--arch", "x86_64", "--machine", "q35")
    enum = link.xml(*words, patient=False).find("os/enum[@name='firmware']")
    efi = enum is not None and any(value.text == "efi" for value in enum)
    return ("bios", "uefi") if efi else ("bios",)


def _number(pattern: str, text: str) -> int:
    found = re.search(pattern, text)
    return int(found[1]) if found else 0
