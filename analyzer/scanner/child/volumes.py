"""What a disk is divided into: partitions, logical volumes, and what each of them holds."""

from dataclasses import dataclass, field

from analyzer.domain.fstab import Device
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
    problem: str = ""  # why its files cannot be read


@dataclass
class Layout:
    table: Table
    volumes: list[Volume]
    problems: list[str] = field(default_factory=list)


def read_layout(disk: Disk) -> Layout:
    whole = _volume("disk", Window(disk, 0, disk.size))
    # before the table: the boot sector of FAT and NTFS ends in 55 AA as well, and so may a LUKS or LVM disk
    if whole.superblock.kind not in ("unknown", "iso9660"):
        return _with_logical_volumes(Layout(Table("none"), [whole]))
    table = read_table(disk.pread, disk.size)
    if table.kind == "none":
        return Layout(table, [whole] if whole.superblock.kind != "unknown" else [])
    volumes = [_of_partition(disk, each) for each in table.partitions]
    layout = Layout(table, volumes, [table.damaged] if table.damaged else [])
    for each in table.partitions:
        if each.start_bytes + each.size_bytes > disk.size:
            layout.problems.append(
                f"partition {each.number} reaches beyond the end of the disk: it is cut off"
            )
    return _with_logical_volumes(layout)


def _of_partition(disk: Disk, partition: Partition) -> Volume:
    window = Window(disk, partition.start_bytes, partition.size_bytes)
    volume = _volume(f"p{partition.number}", window, partition.uuid, partition.name)
    volume.start_bytes = partition.start_bytes
    return volume


def _volume(name: str, window: Window, partition_uuid: str = "", partition_label: str = "") -> Volume:
    found = identify(window.pread)
    device = Device(name, found.uuid, found.label, partition_uuid, partition_label)
    return Volume(device, window, found)


def _with_logical_volumes(layout: Layout) -> Layout:
    for physical in [each for each in layout.volumes if each.superblock.kind == "lvm"]:
        try:
            layout.volumes += _logical_volumes(physical.window)
        except (Unreadable, OSError) as error:
            physical.problem = f"its logical volumes cannot be read: {str(error).splitlines()[0][:200]}"
            layout.problems.append(f"LVM on {physical.device.name}: {physical.problem}")
    return layout


def _logical_volumes(window: Window) -> list[Volume]:
    import pyvslvm  # here: most disks have no LVM

    handle = pyvslvm.handle()
    handle.open_file_object(window)
    handle.open_physical_volume_files_as_file_objects([window])
    group = handle.get_volume_group()
    if group is None:
        return []
    if group.get_number_of_physical_volumes() > 1:
        raise Unreadable("the volume group spans several disks")
    found = []
    for index in range(min(group.get_number_of_logical_volumes(), MOST_LOGICAL_VOLUMES)):
        logical = group.get_logical_volume(index)
        whole = Window(_LogicalDisk(handle, logical), 0, logical.get_size())
        found.append(_volume(f"{group.get_name()}/{logical.get_name()}", whole))
    return found


class _LogicalDisk:
    """A logical volume, which libvslvm puts together from its segments."""

    def __init__(self, handle, logical):
        self._handle, self._logical = handle, logical  # the handle must outlive the volume
        self.size = logical.get_size()

    def pread(self, offset: int, length: int) -> bytes:
        return self._logical.read_buffer_at_offset(length, offset)
