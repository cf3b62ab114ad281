"""What a target is: the contract that every place a machine can move to fulfils.

Worked example, the whole way of one run (every line may be said again after a crash; each *ensures*):

    target = open_target("qemu", root=Path("var/machines"))     # one that is elsewhere: place=Place(...)
    disk = target.copy(run_id, SourceDisk(path="web01.qcow2", format="qcow2"), progress=on_bytes)
    target.copy_data(run_id, 1, SourceDisk(path="web01-data.vdi", format="vdi"), "qcow2")
    target.grow(disk, 20 * GIB)
    target.prepare(disk, FirstBoot(hostname="web01", kernel="6.1.0-50-cloud-amd64"))
    disk = target.seal(disk, "qcow2")
    ref = target.create(spec, disk)
    target.power(ref, "on")
    target.wait_ready(ref, timeout_s=180)
    result = target.run(ref, script, timeout_s=600, once_key="post-script-1")
    target.destroy(run_id)
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from analyzer.domain.facts import Facts
from migrations_engine.domain.access import Access
from migrations_engine.domain.machine import (
    Applied,
    Concern,
    DiskRef,
    Enforcement,
    FirstBoot,
    Growth,
    GuestReport,
    MachineRef,
    MachineSpec,
    PowerState,
    Preparation,
    Result,
    ScriptOutput,
    SecurityGroup,
    SourceDisk,
    Status,
)
from migrations_engine.domain.software import Inventory, Software

Progress = Callable[
    [int, int], None
]  # (bytes done, bytes in all); what it raises stops the work and is raised again
KeepAlive = Callable[
    [], None
]  # called at least every two seconds of waiting; what it raises stops the waiting


def no_progress(done: int, total: int) -> None:
    """For a caller that does not watch."""


def no_keep_alive() -> None:
    """For a caller that nobody can stop."""


class TargetError(Exception):
    """Base of every failure that a target names. The message is one sentence for a person."""


class ImageRefused(TargetError):
    """The source is not a self-contained image of its format (backing file, outside extent, size, broken)."""


class CopyFailed(TargetError):
    """The copy stopped; no finished copy exists."""


class CopyMismatch(CopyFailed):
    """The finished copy does not hold the same bytes as the source."""


class PrepareRefused(TargetError):
    """There is no way into this disk that keeps it whole."""


class FilesystemDamaged(PrepareRefused):
    """The root file system is not clean, before or after our change: the copy must be made anew."""


class SpecRefused(TargetError):
    """This target cannot make such a machine; `check` would have said so before."""


class MachineMissing(TargetError):
    """Nothing here carries that key."""


class MachineFailed(TargetError):
    """The hypervisor stopped or did not start; the message ends with its own words."""


class AgentUnavailable(TargetError):
    """The guest agent did not answer in time."""


class ScriptInterrupted(TargetError):
    """The script started once and will not end: the guest was reset under it. It is never started again by itself."""


class KernelUnavailable(TargetError):
    """The kernel asked for is neither installed nor installable."""


@dataclass(frozen=True)
class TargetInfo:
    """What a target is able to do right now."""

    version: str
    accelerator: str  # "kvm" or "tcg" (emulation), "" where the question makes no sense
    vcpus: int
    memory_mib: int
    free_bytes: int
    firmwares: tuple[str, ...]
    detail: str = ""


@dataclass(frozen=True)
class Trial:
    """What a target turned out to allow and to do when it was tried, not what it says of itself."""

    accelerator: str = ""  # "kvm" where a guest lived on it, "tcg", "" where the target finds out by itself
    enforces: frozenset[str] = frozenset()  # of: bandwidth, filters; both of the card, at the hypervisor
    missing: tuple[str, ...] = ()  # rights and things that a run will need, each a sentence
    notes: tuple[str, ...] = ()  # what is not enforced there and why


class Target(Protocol):
    """SHALL: be safe to call again after a crash at any line; keep what it makes findable by `key`; never write to
    a source.

    MAY: raise any `TargetError`, and OSError for the machine's own troubles (disk full). Nothing else is expected.
    """

    kind: ClassVar[str]
    caps: ClassVar[frozenset[str]]  # of: guest_exec, script_output, keys, console, security_groups, qos, tags,
    # offline_prepare, kernels, kernel_install

    def probe(self) -> TargetInfo:
        """What is here. May take seconds the first time; the answer is kept."""

    def trial(self) -> Trial:
        """Tries what a run will need, and leaves nothing behind. Seconds."""

    def access(self, facts: Facts) -> Access:
        """How the guest is talked to. Where an agent must be brought, what it takes is at hand afterwards."""

    def software(self, facts: Facts, names: Sequence[str], access: Access) -> Software:
        """What becomes of the packages asked for. Quick enough for a page: nothing is fetched."""

    def fetch(self, first_boot: FirstBoot, keep_alive: KeepAlive = no_keep_alive) -> None:
        """What the first boot installs is at hand afterwards, so that `prepare` needs no network."""

    def check(self, spec: MachineSpec, facts: Facts, kernel: str | None = None) -> tuple[Concern, ...]:
        """Dry run. A critical concern means that `create` or the boot will fail. `kernel`: the one to boot."""

    def enforcement(self, spec: MachineSpec, facts: Facts) -> tuple[Enforcement, ...]:
        """One row for each setting that somebody must make true, known before the run."""

    def checksum(self, source: SourceDisk, progress: Progress = no_progress) -> str:
        """SHA-256 (hex) of the source file's bytes, holes read quickly."""

    def copy(self, key: str, source: SourceDisk, progress: Progress = no_progress) -> DiskRef:
        """A compared copy. One that is finished is kept, half of one is made anew. Raises ImageRefused, CopyFailed."""

    def copy_data(
        self, key: str, index: int, source: SourceDisk, format: str, progress: Progress = no_progress
    ) -> DiskRef:
        """As `copy`, of a disk beside the one that boots (`index` from 1), in its final format."""

    def adopt(
        self, key: str, index: int, source: SourceDisk, format: str, progress: Progress = no_progress
    ) -> DiskRef:
        """As `copy` (`index` 0) or `copy_data`, of a raw file that the caller gives away and answers for: it becomes
        the copy where it can, and is copied where it cannot. Raises CopyFailed where it is gone."""

    def grow(self, disk: DiskRef, size_bytes: int) -> Growth:
        """Disk, last partition and its file system reach `size_bytes`; never shrinks anything."""

    def prepare(self, disk: DiskRef, first_boot: FirstBoot) -> Preparation:
        """Changes the copy before its first boot. Raises PrepareRefused, FilesystemDamaged, KernelUnavailable."""

    def install_kernel(
        self,
        disk: DiskRef,
        spec: MachineSpec,
        first_boot: FirstBoot,
        keep_alive: KeepAlive = no_keep_alive,
    ) -> None:
        """`first_boot.kernel` and its modules are on the disk afterwards. Raises KernelUnavailable.

        A guest that has to boot for it finds the firmware and the disk bus of `spec`, and gets before what of
        `first_boot` it cannot do without: an agent and the names of its disks.
        """

    def seal(self, disk: DiskRef, format: str, progress: Progress = no_progress) -> DiskRef:
        """The prepared disk in its final format: "raw" or "qcow2"."""

    def create(self, spec: MachineSpec, disk: DiskRef) -> MachineRef:
        """Finds by `spec.key` before it makes anything. The machine is off; its data disks are attached in order."""

    def machines(self, key: str | None = None) -> tuple[MachineRef, ...]:
        """Every machine here, or those that carry `key`."""

    def keys(self) -> tuple[str, ...]:
        """Every key that something here carries, half a copy too. Only with the cap `keys`."""

    def power(self, ref: MachineRef, want: PowerState, timeout_s: float = 60, hard: bool = False) -> Status:
        """On, or off: by the guest's own shutdown first, by force when `hard` or after `timeout_s`."""

    def reset(self, ref: MachineRef, timeout_s: float = 60) -> None:
        """Reboots through the guest; by force when it does not answer. Returns when the old boot has ended."""

    def status(self, ref: MachineRef) -> Status:
        """Never raises for a machine that is gone: its state is then `missing`."""

    def console(self, ref: MachineRef, max_bytes: int = 65536) -> str:
        """The end of what the guest wrote on its serial line."""

    def wait_ready(self, ref: MachineRef, timeout_s: float, keep_alive: KeepAlive = no_keep_alive) -> None:
        """Returns when the guest answers. Raises AgentUnavailable, MachineFailed."""

    def accepted(self, ref: MachineRef, host_port: int) -> bool:
        """Whether the guest itself has taken a connection that is open at this forward of `ref` now."""

    def run(
        self,
        ref: MachineRef,
        script: str,
        timeout_s: float,
        once_key: str | None = None,
        keep_alive: KeepAlive = no_keep_alive,
    ) -> Result:
        """Runs a script as root in the guest (its `#!` line, else sh) and waits for its end.

        With `once_key` the script starts at most once for that key on this disk: a second call waits for, or returns,
        the first one's result. Raises AgentUnavailable, ScriptInterrupted. A time-out is a Result, not an error.
        What `keep_alive` raises passes through and leaves the script running: `stop_script` ends it.
        """

    def script_output(self, ref: MachineRef, once_key: str, max_bytes: int) -> ScriptOutput:
        """The end of what a script has written so far, at most `max_bytes` of each stream. Only with the cap
        `script_output`. Safe to ask from the `keep_alive` of the very `run`. Raises AgentUnavailable."""

    def stop_script(self, ref: MachineRef, once_key: str) -> None:
        """Ends a script that `run` started, if it still runs."""

    def guest_report(self, ref: MachineRef) -> GuestReport:
        """What the guest says of itself. Raises AgentUnavailable."""

    def inventory(
        self,
        ref: MachineRef,
        names: Sequence[str],
        brought: Sequence[str] = (),
        keep_alive: KeepAlive = no_keep_alive,
    ) -> Inventory:
        """Which of `names` the guest has. What was `brought` at the first boot is waited for.

        Raises AgentUnavailable.
        """

    def set_default_kernel(self, ref: MachineRef, version: str) -> None:
        """The next boot takes this kernel (it must be installed). Raises KernelUnavailable."""

    def apply_security_groups(self, ref: MachineRef, groups: tuple[SecurityGroup, ...]) -> Applied:
        """Filters in the guest, kept over a reboot, read back."""

    def apply_bandwidth(self, ref: MachineRef, mbps: int) -> Applied:
        """Limits what the guest sends, kept over a reboot, read back."""

    def tag(self, ref: MachineRef, tags: dict[str, str]) -> Applied:
        """Tags kept with the machine, and read back."""

    def destroy(self, key: str, keep_disks: bool = False) -> tuple[str, ...]:
        """Removes exactly what carries `key`; names what was removed. Nothing there: ()."""
