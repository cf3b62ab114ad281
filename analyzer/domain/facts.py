"""What a scan learns about a machine: the one shape that scanner, services, pages and API share.

Everything here may come from a hostile disk. So every text is bounded and printable (no control or
direction-changing character gets in), every list is bounded, and unknown is `None` or an empty tuple with
the reason in `coverage`, never a guess.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

SCHEMA_VERSION = 1

AREAS = (
    "os",
    "kernels",
    "packages",
    "services",
    "users",
    "listening",
    "filesystems",
    "network",
    "usage",
    "extras",
)
Area = Literal[
    "os", "kernels", "packages", "services", "users", "listening", "filesystems", "network", "usage", "extras"
]


def _printable(text: str) -> str:
    # Cc, Cf, Cs, Co, Cn: control characters, bidi overrides, lone surrogates, unassigned: the scanner escapes them
    for character in text:
        if unicodedata.category(character)[0] == "C":
            raise ValueError(f"unprintable character U+{ord(character):04X}")
    return text


Text = Annotated[str, StringConstraints(max_length=256), AfterValidator(_printable)]
LongText = Annotated[str, StringConstraints(max_length=1024), AfterValidator(_printable)]
Count = Annotated[int, Field(ge=0, lt=2**63)]
Disk = Annotated[int, Field(ge=0, lt=64)]  # its index among the machine's disks; 0 boots
Port = Annotated[int, Field(ge=1, le=65535)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class OperatingSystem(_Frozen):
    """`/etc/os-release`; `family` decides the tools: debian, rhel, suse, alpine, arch, windows, unknown."""

    id: Text = ""  # "debian"
    version: Text = ""  # "12"
    name: Text = ""  # "Debian GNU/Linux"
    pretty_name: Text = ""
    codename: Text = ""  # "bookworm"
    family: Text = "unknown"
    like: Annotated[tuple[Text, ...], Field(max_length=16)] = ()

    def is_one_of(self, ids: Collection[str]) -> bool:
        """By its own os-release ID, or by that of what it is like."""
        return not {self.id, *self.like}.isdisjoint(ids)


class Kernel(_Frozen):
    """An installed kernel. `drivers` are the ones of interest to a move that this kernel has, built in or as module."""

    version: Text  # as `uname -r` will say it
    default: bool = False  # what the boot loader starts without a hand on the keyboard
    menu_id: LongText | None = None  # to set as GRUB's default: "gnulinux-advanced-UUID>gnulinux-VERSION-…"
    title: Text = ""
    initramfs: bool = False
    drivers_builtin: Annotated[tuple[Text, ...], Field(max_length=64)] = ()
    drivers_module: Annotated[tuple[Text, ...], Field(max_length=64)] = ()

    @property
    def drivers(self) -> frozenset[str]:
        return frozenset(self.drivers_builtin) | frozenset(self.drivers_module)


class Package(_Frozen):
    name: Text
    version: Text
    architecture: Text = ""
    manager: Literal["dpkg", "rpm", "apk", "pacman", "windows"]
    manual: bool | None = None  # asked for by a person; None where the manager does not record it
    section: Text | None = None
    priority: Text | None = None  # dpkg's: required, important, standard, optional, extra

    @property
    def on_purpose(self) -> bool | None:
        """As `manual`, but for what every system has: the installers of a bare system mark nothing as automatic."""
        return False if self.priority in ("required", "important") else self.manual


class Service(_Frozen):
    """A unit that a person can switch on or off; `state` in the words of `systemctl is-enabled`."""

    name: Text  # with its suffix for systemd: "nginx.service"
    enabled: bool
    kind: Literal["service", "socket", "timer", "path", "mount", "target", "sysv", "openrc"] = "service"
    state: Literal["enabled", "disabled", "masked"] = "enabled"


class User(_Frozen):
    name: Text
    uid: Annotated[int, Field(ge=0, lt=2**32)]
    gid: Annotated[int, Field(ge=0, lt=2**32)] = 0
    home: LongText = ""
    shell: LongText = ""
    can_login: bool = False  # the shell is one that lets somebody in


class Listening(_Frozen):
    """A port that a service listens on: of a disk as its configuration says, of a running machine as observed."""

    port: Port
    protocol: Literal["tcp", "udp"] = "tcp"
    service: Text  # "nginx", "postgresql"
    address: Text = "*"  # "*" = every address; "127.0.0.1", "::1", a host name
    evidence: LongText = ""  # "/etc/nginx/sites-enabled/default:22"


class Partition(_Frozen):
    number: Annotated[int, Field(ge=1, le=1024)]
    start_bytes: Count
    size_bytes: Count
    type: Text = ""  # GPT type GUID in lower case, or "0x83"
    name: Text = ""
    uuid: Text = ""  # as fstab's PARTUUID
    bootable: bool = False
    disk: Disk = 0


class Filesystem(_Frozen):
    """One file system (or what stands in its place: swap, lvm, luks). `used_bytes` None: could not be read."""

    device: Text  # "disk" (no table), "p2", "vg0/root"; on the second disk "disk1", "disk1p2"
    kind: Text  # ext2|ext3|ext4|xfs|btrfs|vfat|ntfs|iso9660|swap|lvm|luks|raid|zfs|unknown
    label: Text = ""
    uuid: Text = ""
    mount_point: LongText | None = None
    mounted_as: LongText = ""  # fstab's word for it: "UUID=…", "/dev/sda1"
    start_bytes: Count = 0  # on the disk; 0 for a logical volume
    size_bytes: Count = 0
    used_bytes: Count | None = None
    disk: Disk = 0  # of a logical volume the disk of its group's first part


class Nic(_Frozen):
    """A network interface as configured. `mac` only where the configuration matches on it."""

    name: Text
    mac: Text | None = None
    addressing: Literal["dhcp", "static", "unknown"] = "unknown"
    addresses: Annotated[tuple[Text, ...], Field(max_length=64)] = ()  # with prefix length: "10.0.0.5/24"
    gateway: Text | None = None
    nameservers: Annotated[tuple[Text, ...], Field(max_length=16)] = ()
    source: LongText = ""  # the file that says so


Metric = Literal[
    "cpu_percent",
    "memory_percent",
    "network_receive_bytes_per_s",
    "network_transmit_bytes_per_s",
    "disk_read_bytes_per_s",
    "disk_write_bytes_per_s",
    "disk_operations_per_s",
]


class UsageSeries(_Frozen):
    """History found on the disk: `samples` are (seconds since 1970 UTC, value), oldest first.

    The metric's name says the unit. Network is summed over the devices that reach the outside, disk over
    all. A value is the mean over the step before its time.
    """

    metric: Metric
    step_s: Annotated[int, Field(ge=1, le=86400)]
    source: Text  # "sysstat"
    samples: Annotated[tuple[tuple[int, float], ...], Field(max_length=20_000)]


class BootSpan(_Frozen):
    """First and last second that the journal tells of one boot, since 1970 UTC. `cpu_percent` is a floor of the mean
    use of all processors in it (what stopped units had used), None where it is not known."""

    started_s: Count
    ended_s: Count
    cpu_percent: float | None = None


class UnitUse(_Frozen):
    """What a unit used from its start (None: not told) to its stop, summed over that time."""

    unit: Text
    started_s: Count | None = None
    ended_s: Count
    cpu_s: Annotated[float, Field(ge=0)] | None = None
    memory_peak_bytes: Count | None = None
    read_bytes: Count | None = None
    write_bytes: Count | None = None


class UnitRestarts(_Frozen):
    """How often systemd had to start a unit again."""

    unit: Text
    count: Count


class OutOfMemory(_Frozen):
    at_s: Count
    process: Text


class Journal(_Frozen):
    """What the journal of a machine tells of its use: sums and means, no samples. `processors`: at the last boot."""

    files: Count
    processors: Count | None = None
    boots: Annotated[tuple[BootSpan, ...], Field(max_length=500)] = ()
    units: Annotated[tuple[UnitUse, ...], Field(max_length=500)] = ()  # those that used most processor time
    restarts: Annotated[tuple[UnitRestarts, ...], Field(max_length=100)] = ()
    out_of_memory: Annotated[tuple[OutOfMemory, ...], Field(max_length=500)] = ()

    @property
    def up_percent(self) -> float | None:
        """Of the time from the first boot to the last word the share in which it was on."""
        if not self.boots:
            return None
        whole = self.boots[-1].ended_s - self.boots[0].started_s
        return (
            round(100 * sum(each.ended_s - each.started_s for each in self.boots) / whole, 1)
            if whole
            else None
        )


class Directory(_Frozen):
    """Something put beside the package manager: a directory of /opt, /srv or /var/www."""

    path: LongText
    entries: Count


class Container(_Frozen):
    name: Text
    image: LongText = ""
    engine: Literal["docker", "podman"]


class Extras(_Frozen):
    directories: Annotated[tuple[Directory, ...], Field(max_length=256)] = ()
    compose_files: Annotated[tuple[LongText, ...], Field(max_length=64)] = ()
    containers: Annotated[tuple[Container, ...], Field(max_length=512)] = ()


class PciDevice(_Frozen):
    address: Text  # "0000:00:04.0"
    id: Text  # "1af4:1000", vendor and device
    driver: Text = ""


class Running(_Frozen):
    """What only a running machine can tell. `processes` are names, each once; `cron` is "table: line"."""

    kernel: Text
    uptime_s: Count = 0
    vcpus: Count | None = None
    memory_mib: Count | None = None
    as_root: bool = False
    modules: Annotated[tuple[Text, ...], Field(max_length=1_000)] = ()
    pci: Annotated[tuple[PciDevice, ...], Field(max_length=256)] = ()
    processes: Annotated[tuple[Text, ...], Field(max_length=2_000)] = ()
    cron: Annotated[tuple[LongText, ...], Field(max_length=500)] = ()


class Coverage(_Frozen):
    """How much of an area was read: `reason` says why not all of it."""

    area: Area
    state: Literal["full", "partial", "none"]
    reason: LongText = ""


class Concern(_Frozen):
    """Something on this disk that a move must know about."""

    severity: Literal["critical", "warning", "information"]
    code: Text  # "luks", "lvm", "unsupported_filesystem", "no_virtio", "dirty_filesystem", ...
    text: LongText


class ScanInfo(_Frozen):
    """Format and sizes are the boot disk's; `disks` says how many were read."""

    duration_ms: Count
    disks: Annotated[int, Field(ge=1, le=64)] = 1
    image_format: Text
    virtual_size_bytes: Count
    allocated_bytes: Count
    scanner_version: Text = "1"


class Facts(_Frozen):
    schema_version: Literal[1] = SCHEMA_VERSION
    os: OperatingSystem = OperatingSystem()
    architecture: Text = ""  # "x86_64", "aarch64", as `uname -m`
    hostname: Text = ""
    machine_id: Text = ""
    timezone: Text = ""
    init_system: Literal["systemd", "sysvinit", "openrc", "busybox", "runit", "unknown"] = "unknown"
    boot_mode: Literal["bios", "uefi", "hybrid", "unknown"] = "unknown"
    partition_table: Literal["gpt", "mbr", "none"] = "none"
    partitions: Annotated[tuple[Partition, ...], Field(max_length=256)] = ()
    filesystems: Annotated[tuple[Filesystem, ...], Field(max_length=512)] = ()
    kernels: Annotated[tuple[Kernel, ...], Field(max_length=64)] = ()
    packages: Annotated[tuple[Package, ...], Field(max_length=50_000)] = ()
    services: Annotated[tuple[Service, ...], Field(max_length=5_000)] = ()
    users: Annotated[tuple[User, ...], Field(max_length=10_000)] = ()
    listening: Annotated[tuple[Listening, ...], Field(max_length=1_000)] = ()
    nics: Annotated[tuple[Nic, ...], Field(max_length=256)] = ()
    has_cloud_init: bool = False
    has_guest_agent: bool = False
    has_nft: bool = False
    has_tc: bool = False
    usage: Annotated[tuple[UsageSeries, ...], Field(max_length=32)] = ()
    journal: Journal | None = None
    extras: Extras = Extras()
    running: Running | None = None
    coverage: Annotated[tuple[Coverage, ...], Field(max_length=len(AREAS))] = ()
    concerns: Annotated[tuple[Concern, ...], Field(max_length=256)] = ()
    scan: ScanInfo

    @property
    def default_kernel(self) -> Kernel | None:
        return next((kernel for kernel in self.kernels if kernel.default), None)

    @property
    def root_filesystem(self) -> Filesystem | None:
        return next((each for each in self.filesystems if each.mount_point == "/"), None)

    def covered(self, area: Area) -> Coverage:
        """Coverage of one area; an area that the scan never reached is "none"."""
        found = (each for each in self.coverage if each.area == area)
        return next(found, Coverage(area=area, state="none", reason="not reached"))
