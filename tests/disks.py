"""Disk images made by the tests themselves, in well under a second each and without root.

tree = lay_out(tmp_path / "tree", DEBIAN)
disk = make_disk(tmp_path / "web01.raw", tree)                  # GPT, bios-boot, ext4
other = converted(disk, "vmdk", subformat="streamOptimized")
"""

import itertools
import shutil
import struct
import subprocess
import tarfile
import zlib
from pathlib import Path

MIB = 1 << 20
ROOT_AT = 2 * MIB

OS_RELEASE = """\
PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
NAME="Debian GNU/Linux"
VERSION_ID="12"
VERSION_CODENAME=bookworm
ID=debian
"""

DEBIAN = {  # path -> text; a value that starts with "-> " is a symlink
    "etc/os-release": "-> ../usr/lib/os-release",
    "usr/lib/os-release": OS_RELEASE,
    "etc/hostname": "web01\n",
    "etc/passwd": "root:x:0:0:root:/root:/bin/bash\nalice:x:1000:1000::/home/alice:/bin/bash\n",
    "etc/fstab": "LABEL=root / ext4 defaults 0 1\n",
    "lib": "-> usr/lib",
    "var/lib/dpkg/status": (
        "Package: nginx\nStatus: install ok installed\nSection: httpd\nArchitecture: amd64\nVersion: 1.22.1-9\n\n"
        "Package: libc6\nStatus: install ok installed\nSection: libs\nArchitecture: amd64\nVersion: 2.36-9\n\n"
        "Package: gone\nStatus: deinstall ok config-files\nArchitecture: amd64\nVersion: 1\n"
    ),
    "var/lib/apt/extended_states": "Package: libc6\nArchitecture: amd64\nAuto-Installed: 1\n",
    "usr/lib/systemd/system/nginx.service": "[Service]\nExecStart=nginx\n[Install]\nWantedBy=multi-user.target\n",
    "etc/systemd/system/multi-user.target.wants/nginx.service": "-> /lib/systemd/system/nginx.service",
    "sbin/init": "-> /lib/systemd/systemd",
    "usr/lib/systemd/systemd": "\x7fELF",
    "etc/nginx/nginx.conf": "http {\n  server { listen 8080; }\n}\n",
}


def lay_out(folder: Path, files: dict[str, str | bytes]) -> Path:
    """Writes `files` below `folder`, links included, and returns it."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str) and content.startswith("-> "):
            path.symlink_to(content[3:])
        else:
            path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def make_disk(
    path: Path, tree: Path, *, table: str = "gpt", kind: str = "ext4", size: int = 64 * MIB
) -> Path:
    """A raw disk whose last partition holds `tree`; table "none": the file system starts at byte 0."""
    with path.open("wb") as file:
        file.truncate(size)
    start = ROOT_AT
    if table == "gpt":
        partition(path, "label: gpt\n2048,2048,21686148-6449-6E6F-744E-656564454649\n4096,,L\n")
    elif table == "mbr":
        partition(path, "label: dos\n4096,,83,*\n")
    else:
        start = 0
    # the backup GPT takes the last 33 sectors
    make_filesystem(path, tree, kind, start, size - start - (MIB if start else 0))
    return path


def partition(path: Path, script: str) -> None:
    run("sfdisk", "--quiet", path, stdin=script)


def make_filesystem(path: Path, tree: Path | None, kind: str, start: int, size: int, *options: str) -> None:
    """ext2/3/4 in place, with `options` of mke2fs; XFS through a file of its own, because it knows no offset."""
    if kind == "xfs":
        _make_xfs(path, tree, start, size)
        return
    content = ["-d", tree] if tree else []
    run(
        "mke2fs",
        "-q",
        "-F",
        "-t",
        kind,
        "-L",
        "root",
        *content,
        *options,
        "-E",
        f"offset={start}",
        path,
        f"{size // 1024}k",
    )


def _make_xfs(path: Path, tree: Path | None, start: int, size: int) -> None:
    alone, proto = path.with_suffix(".xfs"), path.with_suffix(".proto")
    alone.unlink(missing_ok=True)
    with alone.open("wb") as file:
        file.truncate(size)
    proto.write_text("/dev/null\n0 0\n" + "\n".join(_proto(tree)) + "\n")
    run("mkfs.xfs", "-q", "-L", "root", "-p", proto, alone)
    run(
        "dd",
        f"if={alone}",
        f"of={path}",
        "bs=1M",
        f"seek={start // MIB}",
        "conv=notrunc,sparse",
        "status=none",
    )
    alone.unlink()


def _proto(folder: Path):
    """The lines of mkfs.xfs's prototype file for a directory."""
    yield "d--755 0 0"
    for path in sorted(folder.iterdir()):
        if path.is_symlink():
            yield f"{path.name} l--777 0 0 {path.readlink()}"
        elif path.is_dir():
            first, *rest = _proto(path)
            yield f"{path.name} {first}"
            yield from rest
        else:
            yield f"{path.name} ---644 0 0 {path}"
    yield "$"


FAT_BYTES = 1032192 * 512 - 63 * 512  # of the one size that QEMU's virtual FAT has


def make_fat(path: Path, tree: Path, start: int) -> None:
    """A FAT16 of FAT_BYTES with `tree`: made by QEMU's virtual FAT disk, whose partition begins at sector 63."""
    alone = path.with_suffix(".fat")
    run("qemu-img", "convert", "-O", "raw", f"fat:{tree}", alone)
    offsets = ["iflag=skip_bytes", "oflag=seek_bytes", f"skip={63 * 512}", f"seek={start}"]
    run("dd", f"if={alone}", f"of={path}", "bs=1M", *offsets, "conv=notrunc,sparse", "status=none")
    alone.unlink()


def make_lvm_disk(path: Path, tree: Path, *, kind: str = "ext4", size: int = 64 * MIB) -> Path:
    """A disk with one MBR partition of type LVM: group "vg-main", volumes "root" (with `tree`) and "empty"."""
    with path.open("wb") as file:
        file.truncate(size)
    partition(path, "label: dos\n4096,,8e\n")
    volume = path.with_suffix(".lv")
    extents = (size - ROOT_AT - 2 * MIB) // (4 * MIB) - 1
    with volume.open("wb") as file:
        file.truncate(extents * 4 * MIB)
    make_filesystem(volume, tree, kind, 0, extents * 4 * MIB)
    with path.open("r+b") as file:
        file.seek(ROOT_AT)
        file.write(_physical_volume(size - ROOT_AT, _one_volume_text(size - ROOT_AT, extents)))
    run("dd", f"if={volume}", f"of={path}", "bs=1M", "seek=3", "conv=notrunc,sparse", "status=none")
    volume.unlink()
    return path


def make_spanning_disks(first: Path, second: Path, tree: Path, *, each: int = 12) -> tuple[Path, Path]:
    """Two whole disks that hold one volume group; its logical volume `data` begins on one and ends on the other."""
    volume, chunk = first.with_suffix(".lv"), each * 4 * MIB
    with volume.open("wb") as file:
        file.truncate(2 * chunk)
    make_filesystem(volume, tree, "ext4", 0, 2 * chunk)
    content = volume.read_bytes()
    volume.unlink()
    identities = ("0" * 32, "1" * 32)
    text = _spanning_text(identities, each, chunk + 2 * MIB)
    for number, (path, identity) in enumerate(zip((first, second), identities, strict=True)):
        data = content[number * chunk : (number + 1) * chunk]
        path.write_bytes(_physical_volume(chunk + 2 * MIB, text, identity.encode()) + data + bytes(MIB))
    return first, second


def _spanning_text(identities: tuple[str, str], each: int, size: int) -> str:
    volumes = "".join(
        f'pv{number} {{\nid = "{_dashed(identity)}"\ndevice = "/dev/vd{"bc"[number]}"\nstatus = ["ALLOCATABLE"]\n'
        f"flags = []\ndev_size = {size // 512}\npe_start = 2048\npe_count = {each}\n}}\n"
        for number, identity in enumerate(identities)
    )
    segments = "".join(
        f"segment{number + 1} {{\nstart_extent = {number * each}\nextent_count = {each}\n"
        f'type = "striped"\nstripe_count = 1\nstripes = [\n"pv{number}", 0\n]\n}}\n'
        for number in range(len(identities))
    )
    return (
        f'vg-two {{\nid = "{_dashed("2" * 32)}"\nseqno = 1\nformat = "lvm2"\n'
        'status = ["RESIZEABLE", "READ", "WRITE"]\nflags = []\nextent_size = 8192\nmax_lv = 0\nmax_pv = 0\n'
        f"metadata_copies = 0\nphysical_volumes {{\n{volumes}}}\nlogical_volumes {{\n"
        f'data {{\nid = "{_dashed("3" * 32)}"\nstatus = ["READ", "WRITE", "VISIBLE"]\nflags = []\n'
        f"segment_count = 2\n{segments}}}\n}}\n}}\n{_LVM_END}"
    )


def _dashed(identity: str) -> str:
    """As the metadata writes it: 6-4-4-4-4-4-6."""
    cuts = (0, 6, 10, 14, 18, 22, 26, 32)
    return "-".join(identity[start:end] for start, end in itertools.pairwise(cuts))


def _one_volume_text(size: int, extents: int) -> str:
    return _LVM_TEXT.format(id=_LVM_ID, sectors=size // 512, count=extents + 1, extents=extents) + _LVM_END


def _physical_volume(size: int, metadata_text: str, identity: bytes = b"0" * 32) -> bytes:
    """The first MiB of a physical volume: label, header, one metadata area (LVM2 `lib/format_text/layout.h`)."""
    header = identity + struct.pack("<Q", size)
    header += struct.pack("<QQ", MIB, 0) + bytes(16)  # data begins at 1 MiB; end of list
    header += struct.pack("<QQ", 4096, MIB - 4096) + bytes(16)  # metadata area; end of list
    rest = (struct.pack("<I", 32) + b"LVM2 001" + header).ljust(512 - 20, b"\0")
    label = b"LABELONE" + struct.pack("<Q", 1) + struct.pack("<I", _lvm_crc(rest)) + rest
    text = metadata_text.encode() + b"\0"
    area = b" LVM2 x[5A%r0N*>" + struct.pack("<IQQ", 1, 4096, MIB - 4096)
    area += struct.pack("<QQII", 512, len(text), _lvm_crc(text), 0)
    area = area.ljust(512 - 4, b"\0")
    metadata = struct.pack("<I", _lvm_crc(area)) + area + text
    return (bytes(512) + label).ljust(4096, b"\0") + metadata.ljust(MIB - 4096, b"\0")


def _lvm_crc(data: bytes) -> int:
    """CRC-32 that starts at LVM's own value and is not inverted at the end."""
    return zlib.crc32(data, 0xF597A6CF ^ 0xFFFFFFFF) ^ 0xFFFFFFFF


_LVM_ID = "000000-0000-0000-0000-0000-0000-000000"
_LVM_TEXT = """\
vg-main {{
id = "{id}"
seqno = 1
format = "lvm2"
status = ["RESIZEABLE", "READ", "WRITE"]
flags = []
extent_size = 8192
max_lv = 0
max_pv = 0
metadata_copies = 0
physical_volumes {{
pv0 {{
id = "{id}"
device = "/dev/vda1"
status = ["ALLOCATABLE"]
flags = []
dev_size = {sectors}
pe_start = 2048
pe_count = {count}
}}
}}
logical_volumes {{
root {{
id = "100000-0000-0000-0000-0000-0000-000000"
status = ["READ", "WRITE", "VISIBLE"]
flags = []
segment_count = 1
segment1 {{
start_extent = 0
extent_count = {extents}
type = "striped"
stripe_count = 1
stripes = [
"pv0", 0
]
}}
}}
empty {{
id = "200000-0000-0000-0000-0000-0000-000000"
status = ["READ", "WRITE", "VISIBLE"]
flags = []
segment_count = 1
segment1 {{
start_extent = 0
extent_count = 1
type = "striped"
stripe_count = 1
stripes = [
"pv0", {extents}
]
}}
}}
}}
}}
"""
_LVM_END = """\
contents = "Text Format Volume Group"
version = 1
description = ""
creation_host = "test"
creation_time = 1700000000
"""


def converted(
    disk: Path, image_format: str, path: Path | None = None, *, compress: bool = False, **options: str
) -> Path:
    """The same disk in another format; beside it if no `path` is given."""
    path = path or disk.with_name(f"{disk.stem}.{image_format}")
    switches = [*(["-c"] if compress else []), *(f"-o{key}={value}" for key, value in options.items())]
    run("qemu-img", "convert", "-f", "raw", "-O", image_format, *switches, disk, path)
    return path


def run(*command: object, stdin: str | None = None) -> str:
    """The program's output; fails the test with what it said when it fails. /sbin is not on everybody's PATH."""
    program = shutil.which(str(command[0]), path="/usr/sbin:/usr/bin:/sbin:/bin")
    assert program, f"{command[0]} is missing: see config/bootstrap/debian.py"
    done = subprocess.run(
        [program, *map(str, command[1:])], input=stdin, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command[0]}: {done.stderr}"
    return done.stdout


def make_ova(path: Path, disks: list[Path], *, drives: tuple[int, ...] | None = None) -> Path:
    """An OVA of `disks` (VMDKs) with 2 processors and 512 MiB; `drives`: the address of each on its controller."""
    names = [f"{path.stem}-disk{number}.vmdk" for number in range(1, len(disks) + 1)]
    files = "".join(f'<File ovf:href="{name}" ovf:id="file{at}"/>' for at, name in enumerate(names))
    sections = "".join(f'<Disk ovf:diskId="vmdisk{at}" ovf:fileRef="file{at}"/>' for at in range(len(disks)))
    items = "".join(
        f"<Item><rasd:AddressOnParent>{address}</rasd:AddressOnParent><rasd:HostResource>ovf:/disk/vmdisk{at}"
        "</rasd:HostResource><rasd:Parent>3</rasd:Parent><rasd:ResourceType>17</rasd:ResourceType></Item>"
        for at, address in enumerate(drives or range(len(disks)))
    )
    description = (
        f'<Envelope xmlns:ovf="x" xmlns:rasd="y"><References>{files}</References><DiskSection>{sections}</DiskSection>'
        "<Item><rasd:InstanceID>3</rasd:InstanceID><rasd:ResourceType>6</rasd:ResourceType></Item>"
        "<Item><rasd:ResourceType>3</rasd:ResourceType><rasd:VirtualQuantity>2</rasd:VirtualQuantity></Item>"
        "<Item><rasd:ResourceType>4</rasd:ResourceType><rasd:VirtualQuantity>512</rasd:VirtualQuantity></Item>"
        f"{items}</Envelope>"
    )
    ovf = path.with_suffix(".ovf")
    ovf.write_text(description)
    with tarfile.open(path, "w") as archive:
        for file, name in ((ovf, ovf.name), *zip(disks, names, strict=True)):
            archive.add(file, name)
    ovf.unlink()
    return path
