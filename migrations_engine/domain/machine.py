"""Values that describe a machine to be made, and what a target answered: frozen, no Django, no clock.

Sizes are bytes unless the name says otherwise; a Mbit/s is 10^6 bit/s, a GiB is 2^30 bytes.
"""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

GIB = 2**30
MIB = 2**20

Protocol = Literal["tcp", "udp", "icmp", "any"]
Direction = Literal["ingress", "egress"]
Severity = Literal["critical", "warning", "information"]
PowerState = Literal["on", "off"]


class SpecError(ValueError):
    """A value that no machine can have; the message names the field and the value."""


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise SpecError(message)


@dataclass(frozen=True)
class Rule:
    """One line of a security group: `port_from..port_to` are inclusive, both None for every port (or icmp)."""

    protocol: Protocol
    port_from: int | None = None
    port_to: int | None = None
    cidr: str = "0.0.0.0/0"
    direction: Direction = "ingress"

    def __post_init__(self):
        _require(self.protocol in ("tcp", "udp", "icmp", "any"), f"rule.protocol: {self.protocol!r}")
        _require(self.direction in ("ingress", "egress"), f"rule.direction: {self.direction!r}")
        _require((self.port_from is None) == (self.port_to is None), "rule: give both ports or none")
        if self.port_from is not None:
            _require(self.protocol in ("tcp", "udp"), f"rule: {self.protocol} has no ports")
            _require(
                0 < self.port_from <= self.port_to < 65536, f"rule: ports {self.port_from}-{self.port_to}"
            )
        try:
            ipaddress.ip_network(self.cidr, strict=False)
        except ValueError as error:
            raise SpecError(f"rule.cidr: {error}") from error


@dataclass(frozen=True)
class SecurityGroup:
    name: str
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True)
class Forward:
    """A port of the guest made reachable on 127.0.0.1; `host_port` 0 takes a free one (see `MachineRef.forwards`)."""

    guest_port: int
    protocol: Literal["tcp", "udp"] = "tcp"
    host_port: int = 0

    def __post_init__(self):
        _require(0 < self.guest_port < 65536, f"forward.guest_port: {self.guest_port}")
        _require(0 <= self.host_port < 65536, f"forward.host_port: {self.host_port}")


@dataclass(frozen=True)
class MachineSpec:
    """The machine as merged. `key` is the run's id: everything a target makes carries it."""

    key: str
    name: str
    vcpus: int
    memory_mib: int
    machine: str = "q35"
    firmware: Literal["bios", "uefi"] = "bios"
    disk_bus: Literal["virtio", "sata", "scsi"] = "virtio"
    nic_model: Literal["virtio", "e1000e"] = "virtio"
    data_disks: int = 0  # beside the one that boots
    devices: tuple[str, ...] = ()  # further device models: "virtio-rng", "virtio-balloon"
    bandwidth_mbps: int | None = None
    security_groups: tuple[SecurityGroup, ...] = ()
    tags: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    forwards: tuple[Forward, ...] = ()
    personas: tuple[str, ...] = ()  # for whom; kept with the machine where the target has a place for it
    isolated: bool = False  # a rehearsal, whose source goes on under the same addresses

    def __post_init__(self):
        _require(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}", self.key) is not None, f"key: {self.key!r}")
        _require(self.vcpus >= 1, f"vcpus: {self.vcpus}")
        _require(self.memory_mib >= 64, f"memory_mib: {self.memory_mib}")
        _require(
            self.bandwidth_mbps is None or self.bandwidth_mbps > 0, f"bandwidth_mbps: {self.bandwidth_mbps}"
        )


@dataclass(frozen=True)
class FirstBoot:
    """What to change on the copied disk before it boots. None, "keep" or () leave a thing as it is."""

    hostname: str | None = None
    addressing: Literal["keep", "dhcp"] = "keep"
    kernel: str | None = None  # version as `uname -r`; it must be installed on the disk
    kernel_modules: tuple[str, ...] = ()  # loaded at every boot, by /etc/modules-load.d
    nic_name: str | None = (
        None  # what the source's configuration calls its card ("ens3"), kept for the new card
    )
    cloud_init: bool = False  # the guest has it: the way in when the file system cannot be changed offline
    packages: tuple[str, ...] = ()  # "name=version": brought to the guest and installed by it (see `Access`)
    device_names: Mapping[str, str] = field(default_factory=dict)  # as domain/device_names.py gives them
    software: tuple[str, ...] = ()  # the same, for what the settings ask for (see `Software`)
    once_script: str | None = (
        None  # root runs it once; its code is left in /var/lib/migration-personas/first-boot/
    )

    def __post_init__(self):
        label = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
        if self.hostname is not None:
            _require(
                re.fullmatch(rf"{label}(\.{label})*", self.hostname) is not None,
                f"hostname: {self.hostname!r}",
            )
        _require(
            self.nic_name is None or re.fullmatch(r"[A-Za-z0-9_.-]{1,15}", self.nic_name) is not None,
            f"nic_name: {self.nic_name!r}",
        )
        kernel = self.kernel or "-"
        _require(re.fullmatch(r"[A-Za-z0-9_.+~-]{1,128}", kernel) is not None, f"kernel: {kernel!r}")
        for module in self.kernel_modules:
            _require(re.fullmatch(r"[A-Za-z0-9_-]{1,64}", module) is not None, f"kernel_modules: {module!r}")


@dataclass(frozen=True)
class SourceDisk:
    """A disk to copy. It is opened read-only, with this format and no other; of an OVA the disk `member` in it."""

    path: str
    format: str
    member: str = ""


@dataclass(frozen=True)
class DiskRef:
    key: str
    path: str
    format: str
    virtual_bytes: int


@dataclass(frozen=True)
class Growth:
    """What became bigger; `left` says who does the rest ("the guest: ..."), empty when nothing is left."""

    disk_bytes: int
    partition_bytes: int | None
    filesystem_bytes: int | None
    left: str = ""


@dataclass(frozen=True)
class Preparation:
    """`done` and `left` name things in words: ("hostname db01", "kernel 6.1.0-50-cloud-amd64 is the default")."""

    way: Literal["offline", "seed"]
    done: tuple[str, ...]
    left: tuple[str, ...] = ()


@dataclass(frozen=True)
class MachineRef:
    """Where a machine is. `forwards` maps "tcp/80" to the port on 127.0.0.1. Storable: `asdict` gives plain JSON."""

    kind: str
    key: str
    name: str
    forwards: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Status:
    """`state`: on, off (made and not running), missing. `agent` tells whether the guest agent answered just now."""

    state: Literal["on", "off", "missing"]
    agent: bool = False
    detail: str = ""
    pid: int | None = None


@dataclass(frozen=True)
class Result:
    """A script's end. Output is decoded and bounded (see the target); 124 is the exit code of a time-out."""

    exit_code: int
    stdout: str
    stderr: str
    duration_s: float
    timed_out: bool = False


@dataclass(frozen=True)
class ScriptOutput:
    """The ends of what a script has written so far; cut: what came before is not in it."""

    stdout: str
    is_stdout_cut: bool
    stderr: str
    is_stderr_cut: bool


@dataclass(frozen=True)
class Concern:
    severity: Severity
    subject: str  # the setting: "firmware", "network.security_groups"
    text: str


@dataclass(frozen=True)
class Enforcement:
    """Who makes a setting true: `by` nobody means a Warning before the run."""

    setting: str
    value: str
    by: Literal["hypervisor", "guest", "nobody"]
    how: str


@dataclass(frozen=True)
class Applied:
    """A setting applied in the guest and read back: `ok` compares what was asked with `observed`."""

    setting: str
    ok: bool
    observed: str
    detail: str = ""


@dataclass(frozen=True)
class GuestDisk:
    """`serial` is empty where the guest's driver tells none."""

    name: str  # "vdb"
    size_bytes: int
    serial: str = ""


def disk_serial(index: int) -> str:
    """What a guest finds below /dev/disk/by-id of its disk: the same on every bus and after every restart."""
    return f"disk{index}"


@dataclass(frozen=True)
class GuestReport:
    """What the guest itself says. None or () where it could not tell."""

    kernel: str
    vcpus: int
    memory_mib: int
    root_disk_bytes: int | None
    root_filesystem_bytes: int | None
    hostname: str
    os_release: Mapping[str, str]
    modules: tuple[str, ...]
    mounts: tuple[str, ...]  # "device mount_point kind"
    failed_units: tuple[str, ...]
    kernels: tuple[str, ...]
    addresses: tuple[str, ...] = ()
    disks: tuple[GuestDisk, ...] = ()
    fstab: tuple[str, ...] = ()  # "mount_point kind options" of each row
