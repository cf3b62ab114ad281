"""From volumes to the machine's own tree of files: finds the root file system and mounts what fstab names."""

from analyzer.domain.fstab import Mount, meant, parse_fstab
from analyzer.domain.partitions import ESP
from analyzer.domain.superblocks import NOT_FOR_FILES
from analyzer.scanner.child.disk import Unreadable
from analyzer.scanner.child.filesystems import Filesystem, open_filesystem
from analyzer.scanner.child.notes import Notes
from analyzer.scanner.child.tree import Tree
from analyzer.scanner.child.volumes import Layout, Volume

_READ_FOR_FACTS = (
    "/",
    "/boot",
    "/boot/efi",
    "/efi",
    "/usr",
    "/var",
    "/home",
    "/opt",
    "/srv",
    "/var/log",
    "/var/lib",
)


class Guest:
    """`tree` is None when no root file system could be read; `why` says so. `efi`: the EFI system partition."""

    def __init__(self, tree: Tree | None, efi: Tree | None, why: str = ""):
        self.tree, self.efi, self.why = tree, efi, why


def open_guest(layout: Layout, notes: Notes) -> Guest:
    opened = _open_all(layout)
    trees = [(volume, Tree(filesystem)) for volume, filesystem in opened]
    roots = [(volume, tree) for volume, tree in trees if _looks_like_root(volume, tree)]
    efi = next((tree for volume, tree in trees if _is_efi(layout, volume)), None)
    if not roots:
        return Guest(None, efi, _why_not(layout))
    if len(roots) > 1:
        listed = ", ".join(volume.device.name for volume, _ in roots)
        notes.concern(
            "warning", "several_systems", f"more than one system is installed ({listed}): the first was read"
        )
    root, tree = roots[0]
    root.mount_point = "/"
    _mount(tree, layout, root, {volume.device.name: filesystem for volume, filesystem in opened}, notes)
    return Guest(tree, efi)


def _open_all(layout: Layout) -> list[tuple[Volume, Filesystem]]:
    opened = []
    for volume in layout.volumes:
        kind = volume.superblock.kind
        if kind == "unknown" or kind in NOT_FOR_FILES:
            continue
        try:
            opened.append((volume, open_filesystem(kind, volume.window)))
        except Unreadable as error:
            volume.problem = str(error)
    return opened


def _looks_like_root(volume: Volume, tree: Tree) -> bool:
    try:
        if tree.is_dir("/Windows/System32") or tree.is_dir("/WINDOWS/System32"):
            return True
        # not os-release: with a separate /usr it is a link that leads nowhere yet
        return tree.is_dir("/etc") and any(
            tree.find(f"/etc/{name}", follow=False) for name in ("os-release", "fstab", "passwd", "inittab")
        )
    except OSError as error:  # another volume may still be the root
        volume.problem = f"its directories are damaged: {str(error).splitlines()[0][:200]}"
        return False


def _is_efi(layout: Layout, volume: Volume) -> bool:
    """The firmware looks at the disk that boots."""
    partition = next(
        (each for each in layout.boot_table.partitions if f"p{each.number}" == volume.device.name), None
    )
    return partition is not None and partition.type in (ESP, "0xef") and volume.superblock.kind == "vfat"


def _mount(tree: Tree, layout: Layout, root: Volume, by_name: dict[str, Filesystem], notes: Notes) -> None:
    by_device = {volume.device: volume for volume in reversed(layout.volumes)}
    devices = [volume.device for volume in layout.volumes]
    for mount in sorted(_fstab(tree, notes), key=lambda each: each.point):  # /var before /var/log
        volume = by_device.get(meant(devices, mount.spec))
        if volume is not None and not volume.mounted_as:
            volume.mounted_as = mount.spec
        if volume is None or volume is root or volume.mount_point or mount.point == "/":
            continue  # which one is the root was decided by what it holds
        volume.mount_point = mount.point if mount.point.startswith("/") else None
        point = mount.point.rstrip("/")
        if point in _READ_FOR_FACTS and volume.device.name in by_name:
            tree.mount(point, by_name[volume.device.name])
        elif point in _READ_FOR_FACTS and mount.kind not in ("swap", "tmpfs"):
            for area in ("packages", "services", "kernels"):
                notes.partial(area, f"{point} is on {volume.device.name}, which could not be read")


def _fstab(tree: Tree, notes: Notes) -> list[Mount]:
    try:
        return parse_fstab(tree.text("/etc/fstab") or "")
    except OSError as error:
        notes.partial("filesystems", f"/etc/fstab is damaged: {str(error).splitlines()[0][:200]}")
        return []


def _why_not(layout: Layout) -> str:
    for kind, word in (
        ("luks", "LUKS"),
        ("bitlocker", "BitLocker"),
        ("btrfs", "btrfs"),
        ("zfs", "ZFS"),
        ("raid", "RAID"),
    ):
        if any(volume.superblock.kind == kind for volume in layout.volumes):
            return f"no readable root filesystem: {word}"
    problems = [f"{volume.device.name}: {volume.problem}" for volume in layout.volumes if volume.problem]
    if problems:
        return f"no readable root filesystem: {problems[0]}"
    if not layout.volumes:
        return "no readable root filesystem: the disk is empty or its contents are unknown"
    return "no readable root filesystem: no file system here holds an operating system"
