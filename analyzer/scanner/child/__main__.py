"""`python -m analyzer.scanner.child REQUEST`: reads a machine's disks, answers JSON on standard output.

REQUEST is JSON: {disks: [{format, member (of an OVA), descriptor, path (inside the sandbox), name}],
virtual_limit_bytes, qemu_img, qemu_nbd}; the disk that boots comes first, on descriptor 0.
Answer: {"facts": {…}} or {"unreadable": reason}. What nobody foresaw ends in a traceback and code 1.
"""

import json
import os
import struct
import sys
import time

from analyzer.scanner.child.areas import (
    extras,
    kernels,
    listening,
    network,
    packages,
    services,
    storage,
    system,
    usage,
    users,
)
from analyzer.scanner.child.disk import Disk, RawDisk, Unreadable
from analyzer.scanner.child.guest import open_guest
from analyzer.scanner.child.notes import AREAS, Notes
from analyzer.scanner.child.report import fit
from analyzer.scanner.child.volumes import read_layout

_READERS = (  # in this order: ports are read of services that are known to be on
    ("os", system),
    ("kernels", kernels),
    ("packages", packages),
    ("services", services),
    ("users", users),
    ("listening", listening),
    ("network", network),
    ("usage", usage),
    ("extras", extras),
)
# what a damaged file system or file makes a reader raise; anything else is our own defect and shall be seen
_DAMAGE = (OSError, ValueError, struct.error, Unreadable)


def open_disks(request: dict, notes: Notes) -> list[Disk]:
    """Raises Unreadable, with the disk's name where there are several."""
    opened = []
    for image in request["disks"]:
        try:
            opened.append(_open_disk(image, request, notes))
        except Unreadable as error:
            raise Unreadable(f"{image['name']}: {error}" if image["name"] else str(error)) from None
    return opened


def _open_disk(image: dict, request: dict, notes: Notes) -> Disk:
    raw = RawDisk(image["descriptor"])
    if not raw.size:
        raise Unreadable("the file is empty")
    if image["format"] == "raw":
        return _bounded(raw, request)
    from analyzer.scanner.child import exported  # here: a raw disk needs none of it

    if raw.pread(0, 64).lstrip().startswith(b"# Disk DescriptorFile"):
        raise Unreadable("a VMDK whose data is in other files: make one file of it (qemu-img convert)")
    if not os.access(image["path"], os.R_OK):  # even root has no power over others' files in the sandbox
        owner = os.fstat(image["descriptor"]).st_uid
        raise Unreadable(f"only its owner (user {owner}) may read it: run as that user, or make it readable")
    image_format, part = image["format"], None
    if image_format == "ova":
        image_format, part = "vmdk", _member(raw, image["member"])
    described = exported.node(image["path"], image_format, part)
    told = exported.inspect(request["qemu_img"], described)
    if told["virtual-size"] > request["virtual_limit_bytes"]:
        raise Unreadable(_too_large(told["virtual-size"], request))
    _tell_snapshots(len(told.get("snapshots", ())), notes)
    return exported.open_exported(request["qemu_nbd"], described, image["descriptor"])


def _tell_snapshots(count: int, notes: Notes) -> None:
    if count:
        held = "a snapshot" if count == 1 else f"{count} snapshots"
        notes.concern("information", "snapshots", f"the image holds {held}: only its present state is copied")


def _member(raw: RawDisk, name: str) -> tuple[int, int]:
    from analyzer.domain.ova import read_ova

    disks = read_ova(raw.pread, raw.size).disks
    chosen = next((disk for disk in disks if disk.name == name or not name), None)
    if chosen is None:
        raise Unreadable(f"the OVA holds no disk {name} any more: discover its directory again")
    return chosen.offset, chosen.size


def _bounded(disk: RawDisk, request: dict) -> RawDisk:
    if disk.size > request["virtual_limit_bytes"]:
        raise Unreadable(_too_large(disk.size, request))
    return disk


def _too_large(size: int, request: dict) -> str:
    limit = request["virtual_limit_bytes"] / 2**40
    return f"its virtual size of {size / 2**40:.1f} TiB is beyond the limit of {limit:.1f} TiB"


def scan(disks: list[Disk], notes: Notes) -> dict:
    layout = read_layout(disks)
    guest = open_guest(layout, notes)
    facts = {
        "partition_table": layout.boot_table.kind,
        "partitions": storage.partitions(layout),
        "filesystems": storage.filesystems(layout),
        "boot_mode": storage.boot_mode(layout, guest.efi),
    }
    storage.concerns(layout, notes)
    notes.full("filesystems")
    if guest.tree is None:
        for area in AREAS:
            if area != "filesystems":
                notes.none(area, guest.why)
        notes.concern("critical", "no_root_filesystem", guest.why)
    else:
        for area, reader in _READERS:
            _read(area, reader, guest.tree, facts, notes)
        _tell_losses(guest.tree, notes)
    return facts


def _tell_losses(tree, notes: Notes) -> None:
    """Nobody knows what the lost files were, so no area may claim to be complete."""
    if tree.lost:
        text = f"{tree.lost} files or directories are too damaged to be listed"
        notes.concern("warning", "damaged_filesystem", text)
        for area in AREAS:
            notes.partial(area, text)


def _read(area: str, reader, tree, facts: dict, notes: Notes) -> None:
    try:
        reader.read(tree, facts, notes)
    except _DAMAGE as error:
        notes.none(
            area, f"damaged: {str(error).splitlines()[0][:300] if str(error) else type(error).__name__}"
        )


def answer(request: dict) -> dict:
    started, notes = time.monotonic(), Notes()
    try:
        disks = open_disks(request, notes)
        facts = scan(disks, notes)
    except Unreadable as error:
        return {"unreadable": fit(str(error), "reason")}
    except MemoryError:
        return {"unreadable": "reading it needs more memory than the limit allows"}
    except _DAMAGE as error:
        return {"unreadable": fit(f"damaged: {error}", "reason")}  # BadOva is one of them
    facts["coverage"], facts["concerns"] = notes.coverage(), notes.concerns
    status = os.fstat(0)
    facts["scan"] = {
        "duration_ms": round((time.monotonic() - started) * 1000),
        "disks": len(disks),
        "image_format": request["disks"][0]["format"],
        "virtual_size_bytes": disks[0].size,
        "allocated_bytes": status.st_blocks * 512,
    }
    return {"facts": fit(facts)}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(answer(json.loads(sys.argv[1]))))
