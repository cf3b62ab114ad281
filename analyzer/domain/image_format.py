"""Which disk image format a file holds, told by its content: a file's name is only somebody's opinion.

Magic numbers: QEMU `docs/interop/qcow2.txt`, VMware Virtual Disk Format 1.1, [MS-VHDX] 2.1, VHD 1.0,
VirtualBox `VDICore.h`, POSIX ustar.
"""

HEAD_BYTES = 68 * 1024  # reaches the btrfs superblock's magic at 64 KiB + 64
TAIL_BYTES = 512  # a fixed-size VHD has its only signature in its last sector

FORMATS = ("raw", "qcow2", "vmdk", "vhdx", "vpc", "vdi", "ova")  # as qemu-img names them, and OVA (a tar)


def sniff(head: bytes, tail: bytes = b"") -> str | None:
    """One of FORMATS from the first HEAD_BYTES and last TAIL_BYTES of a file; None: not a disk image.

    A guest can write any of these magic numbers at the start of its raw disk, so the answer decides which
    reader is tried in the sandbox, never what may be opened.
    """
    if head.startswith(b"QFI\xfb"):
        return "qcow2"
    if head.startswith((b"KDMV", b"COWD")) or head.lstrip()[:21] == b"# Disk DescriptorFile":
        return "vmdk"
    if head.startswith(b"vhdxfile"):
        return "vhdx"
    if head[64:68] == b"\x7f\x10\xda\xbe":
        return "vdi"
    if head[257:262] == b"ustar":
        return "ova"
    if head.startswith(b"conectix") or tail.startswith(b"conectix"):
        return "vpc"
    return "raw" if looks_like_a_disk(head) else None


def looks_like_a_disk(head: bytes) -> bool:
    """A partition table or a file system that stands at the very start."""
    return (
        head[510:512] == b"\x55\xaa"
        or head[512:520] == b"EFI PART"
        or head[4096:4104] == b"EFI PART"
        or head[1080:1082] == b"\x53\xef"  # ext2/3/4
        or head.startswith((b"XFSB", b"LUKS\xba\xbe"))
        or head[65600:65608] == b"_BHRfS_M"
        or any(head[sector : sector + 8] == b"LABELONE" for sector in range(0, 2048, 512))
    )
