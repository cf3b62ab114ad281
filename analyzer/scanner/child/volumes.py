"""What a machine's disks are divided into: partitions, logical volumes, and what each of them holds."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from analyzer.domain.fstab import Device
from analyzer.domain.lvm import BadLvm, Group, LogicalVolume, located, read_group
from analyzer.domain.partitions import Partition, Table, read_table
from analyzer.domain.superblocks import Superblock, identify
from analyzer.scanner.child.disk import Disk, Unreadable, Window

MOST_LOGICAL_VOLUMES = 256


@dataclass
class Volume:
    device: Device
    window: Window
    superblock: Superblock
    start_bytes: int = 0  # 0 for a logical volume
    mount_point: str | None = None
    mounted_as: str = ""  # fstab's word for it
    problem: str = ""  # why its files cannot be read


@dataclass
class Layout:
    """`tables`: one a disk, in their order. Logical volumes come after what lies on the disks themselves."""

    tables: list[Table]
    volumes: list[Volume]
    problems: list[str] = field(default_factory=list)

    @property
    def boot_table(self) -> Table:
        return self.tables[0]


def read_layout(disks: Sequence[Disk]) -> Layout:
    layout = Layout([], [])
    for index, disk in enumerate(disks):
        table, volumes = _read_disk(disk, index, layout.problems)
        layout.tables.append(table)
        layout.volumes += volumes
    return _with_logical_volumes(layout)


def _read_disk(disk: Disk, index: int, problems: list[str]) -> tuple[Table, list[Volume]]:
    whole = _volume(f"disk{index}" if index else "disk", Window(disk, 0, disk.size), index)
    # before the table: the boot sector of FAT and NTFS ends in 55 AA as well, and so may a LUKS or LVM disk
    if whole.superblock.kind not in ("unknown", "iso9660"):
        return Table("none"), [whole]
    table = read_table(disk.pread, disk.size)
    if table.kind == "none":
        return table, [whole] if whole.superblock.kind != "unknown" else []
    problems += [table.damaged] if table.damaged else []
    for each in table.partitions:
        if each.start_bytes + each.size_bytes > disk.size:
            of = f" of disk {index}" if index else ""
            problems.append(f"partition {each.number}{of} reaches beyond the end of the disk: it is cut off")
    return table, [_of_partition(disk, index, each) for each in table.partitions]


def _of_partition(disk: Disk, index: int, partition: Partition) -> Volume:
    window = Window(disk, partition.start_bytes, partition.size_bytes)
    name = f"disk{index}p{partition.number}" if index else f"p{partition.number}"
    volume = _volume(name, window, index, partition.uuid, partition.name)
    volume.start_bytes = partition.start_bytes
    return volume


def _volume(
    name: str, window: Window, disk: int, partition_uuid: str = "", partition_label: str = ""
) -> Volume:
    found = identify(window.pread)
    uuid = "" if found.kind == "lvm" else found.uuid  # a physical volume is nothing that fstab could name
    device = Device(name, uuid, found.label, partition_uuid, partition_label, disk)
    return Volume(device, window, found)


def _with_logical_volumes(layout: Layout) -> Layout:
    """A group may span several disks: whichever of its physical volumes comes first stands for it."""
    physical = [each for each in layout.volumes if each.superblock.kind == "lvm"]
    present = {each.superblock.uuid: each for each in reversed(physical)}  # of two clones the first counts
    done: set[str] = set()
    for each in physical:
        if each.superblock.uuid in done:
            continue
        try:
            group = read_group(each.window.pread)
            done |= {*(group.physical if group else ()), each.superblock.uuid}
            layout.volumes += _logical_volumes(group, present, layout.problems) if group else []
        except (Unreadable, BadLvm, OSError) as error:
            each.problem = f"its logical volumes cannot be read: {str(error).splitlines()[0][:200]}"
            layout.problems.append(f"LVM on {each.device.name}: {each.problem}")
    return layout


def _logical_volumes(group: Group, present: dict[str, Volume], problems: list[str]) -> list[Volume]:
    if missing := [identity for identity in group.physical if identity not in present]:
        raise Unreadable(f"{len(missing)} of its volume group's {len(group.physical)} disks are not here")
    windows = {identity: present[identity].window for identity in group.physical}
    disk = present[group.physical[0]].device.disk
    found = []
    for logical in group.logical[:MOST_LOGICAL_VOLUMES]:
        if logical.pieces:
            window = Window(_LogicalDisk(logical, windows), 0, logical.size)
            found.append(_volume(f"{group.name}/{logical.name}", window, disk))
        else:
            problems.append(
                f"{group.name}/{logical.name} is a {logical.kind} volume, which has no reader here"
            )
    return found


class _LogicalDisk:
    """A logical volume, put together from where its bytes lie."""

    def __init__(self, logical: LogicalVolume, windows: dict[str, Window]):
        self._pieces, self._windows = logical.pieces, windows
        self.size = logical.size

    def pread(self, offset: int, length: int) -> bytes:
        places = located(self._pieces, offset, min(length, self.size - offset))
        return b"".join(self._windows[identity].pread(at, step) for identity, at, step in places)
