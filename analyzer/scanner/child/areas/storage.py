"""Partitions, file systems, boot mode: what can be told of a disk without the guest's files, and with them."""

from analyzer.domain.partitions import BIOS_BOOT
from analyzer.scanner.child.notes import Notes
from analyzer.scanner.child.tree import Tree
from analyzer.scanner.child.volumes import Layout

_CANNOT = {
    "luks": "is encrypted with LUKS: what it holds is unknown until it is opened with its key",
    "bitlocker": "is encrypted with BitLocker: what it holds is unknown until it is opened with its key",
    "raid": "is a member of a Linux RAID: scan the assembled array",
    "zfs": "is ZFS, which has no reader here",
    "btrfs": "is btrfs, which has no reader here",
}


def partitions(layout: Layout) -> list[dict]:
    return [
        {**each._asdict(), "disk": disk}
        for disk, table in enumerate(layout.tables)
        for each in table.partitions
    ]


def filesystems(layout: Layout) -> list[dict]:
    return [
        {
            "device": volume.device.name,
            "disk": volume.device.disk,
            "kind": volume.superblock.kind,
            "label": volume.superblock.label,
            "uuid": volume.device.uuid,
            "mount_point": volume.mount_point,
            "mounted_as": volume.mounted_as,
            "start_bytes": volume.start_bytes,
            # what the file system says of itself; a partition may be larger, or its superblock lie
            "size_bytes": min(volume.superblock.size_bytes or volume.window.size, volume.window.size),
            "used_bytes": _used(volume),
        }
        for volume in layout.volumes
        if volume.superblock.kind != "unknown" or volume.mount_point
    ]


def _used(volume) -> int | None:
    used = volume.superblock.used_bytes
    return None if used is None else min(used, volume.window.size)


def concerns(layout: Layout, notes: Notes) -> None:
    for problem in layout.problems:
        notes.concern("warning", "damaged_layout", problem)
        notes.partial("filesystems", problem)
    for volume in layout.volumes:
        kind, name = volume.superblock.kind, volume.device.name
        if kind in _CANNOT:
            notes.concern("warning", kind, f"{name} {_CANNOT[kind]}")
            notes.partial("filesystems", f"{name} {_CANNOT[kind]}")
        elif kind == "lvm":
            notes.concern("information", "lvm", f"{name} is an LVM physical volume")
        elif volume.problem:
            notes.concern("warning", "unreadable_filesystem", f"{name} ({kind}): {volume.problem}")
            notes.partial("filesystems", f"{name}: {volume.problem}")
        if volume.superblock.dirty:
            text = (
                "was copied while the machine ran: its journal is not replayed, recent changes may be missing"
            )
            notes.concern("warning", "dirty_filesystem", f"{name} ({kind}) {text}")


def boot_mode(layout: Layout, efi: Tree | None) -> str:
    """bios, uefi, hybrid (both), unknown. `efi`: the files of the EFI system partition."""
    table = layout.boot_table
    bios = (
        any(each.type == BIOS_BOOT for each in table.partitions) if table.kind == "gpt" else table.boot_code
    )
    uefi = efi is not None and _holds_a_loader(efi)
    return {(True, True): "hybrid", (True, False): "bios", (False, True): "uefi"}.get((bios, uefi), "unknown")


def _holds_a_loader(efi: Tree) -> bool:
    try:
        return any(efi.glob("/EFI/*/*.[eE][fF][iI]"))
    except OSError:
        return False  # a damaged partition starts nothing
