"""A small initramfs for the tiny guest: busybox, the drivers of the root disk, one script. Written as a newc cpio."""

import gzip
import stat
from dataclasses import dataclass
from pathlib import Path

FOLDER = stat.S_IFDIR | 0o755
PROGRAM = stat.S_IFREG | 0o755
FILE = stat.S_IFREG | 0o644
LINK = stat.S_IFLNK | 0o777
USED = "cat findfs insmod mount reboot sleep switch_root umount usleep".split()  # by the script

INIT = """\
#!/bin/busybox sh
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
for module in $(cat /modules); do insmod "$module"; done
for word in $(cat /proc/cmdline); do case "$word" in root=*) root=${word#root=} ;; esac; done
tries=0
until device=$(findfs "$root" 2>/dev/null) || [ $tries -ge 100 ]; do tries=$((tries + 1)); usleep 100000; done
mount -t ext4 -o ro "$device" /root || { echo "no root file system $root"; sleep 10; reboot -f; }
umount /sys /proc
mount --move /dev /root/dev
exec switch_root /root /sbin/init
"""


@dataclass(frozen=True)
class Entry:
    name: str
    mode: int
    data: bytes = b""


def write_initramfs(path: Path, busybox: Path, modules: list[Path]) -> None:
    """`modules` in the order in which they must be loaded."""
    entries = [Entry(name, FOLDER) for name in ("bin", "dev", "proc", "sys", "root", "lib")]
    entries += [Entry("bin/busybox", PROGRAM, busybox.read_bytes()), Entry("init", PROGRAM, INIT.encode())]
    entries += [Entry(f"bin/{name}", LINK, b"busybox") for name in USED]
    entries += [Entry(f"lib/{module.name}", FILE, module.read_bytes()) for module in modules]
    entries += [Entry("modules", FILE, "".join(f"/lib/{module.name}\n" for module in modules).encode())]
    path.write_bytes(gzip.compress(cpio(entries), compresslevel=3, mtime=0))


def cpio(entries: list[Entry]) -> bytes:
    """The archive format that the kernel unpacks (Documentation/driver-api/early-userspace/buffer-format.rst)."""
    return b"".join(
        _record(number, entry) for number, entry in enumerate([*entries, Entry("TRAILER!!!", 0)], 1)
    )


def _record(number: int, entry: Entry) -> bytes:
    name = entry.name.encode() + b"\0"
    fields = (number, entry.mode, 0, 0, 1, 0, len(entry.data), 0, 0, 0, 0, len(name), 0)
    header = b"070701" + b"".join(b"%08X" % value for value in fields)
    return _padded(header + name) + _padded(entry.data)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)
