"""A target that keeps its machines in a dictionary: the protocol faked, the code in between real.

One world for a test (`FakeTarget.world`), as one folder is for QEMU. `world.on["copy"] = hook` runs before that verb:
to raise, to count, to cancel the run in the middle.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import ClassVar

from migrations_engine.domain.access import BY_AGENT, Access
from migrations_engine.domain.enforcement import enforcement
from migrations_engine.domain.machine import (
    Applied,
    DiskRef,
    Growth,
    GuestReport,
    MachineRef,
    Preparation,
    Result,
    ScriptOutput,
    Status,
)
from migrations_engine.domain.software import NOT_ASKED, Inventory, Software, without_way
from migrations_engine.targets.base import (
    KernelUnavailable,
    MachineMissing,
    PrepareRefused,
    TargetInfo,
    Trial,
    no_keep_alive,
    no_progress,
)

GIB = 2**30
TRIAL = Trial("kvm")
NO_AGENT = Access("none", reason="nothing is installed in a played guest")


@dataclass
class Machine:
    disk_bytes: int = 0
    sealed: str = ""
    spec: object = None
    state: str = "off"
    kernel: str = "6.1.0-1-amd64"
    modules: tuple = ()
    tags: dict = field(default_factory=dict)


@dataclass
class World:
    machines: dict = field(default_factory=dict)
    calls: list = field(default_factory=list)
    on: dict[str, Callable] = field(default_factory=dict)
    scripts: dict = field(default_factory=dict)  # text inside a script's body -> Result
    started: list = field(default_factory=list)  # once_keys, in the order in which scripts really began
    finished: dict = field(default_factory=dict)
    texts: dict = field(default_factory=dict)  # once_key -> what the guest was given to run
    written: ScriptOutput = field(default_factory=lambda: ScriptOutput("", False, "", False))
    source_sha256: str = "5" * 64
    free_bytes: int = 100 * GIB
    trial: Trial = TRIAL
    memory_mib: int | None = None  # None: what the machine was given
    access: Access = NO_AGENT
    brought: tuple = ()
    software: Software | None = None  # None: what the scan saw, and the rest cannot be had
    inventory: Inventory = NOT_ASKED
    kernels: tuple = ("6.1.0-1-amd64", "6.1.0-2-amd64")
    disks: tuple = ()  # as the guest sees them


class FakeTarget:
    kind: ClassVar[str] = "qemu"
    caps: ClassVar[frozenset[str]] = frozenset(
        {"guest_exec", "script_output", "keys", "console", "security_groups", "qos", "tags", "kernel_install"}
    )
    world: ClassVar[World] = World()

    def __init__(self, *, root):
        self.root = root

    def _call(self, verb, *arguments):
        self.world.calls.append((verb, *arguments))
        if hook := self.world.on.get(verb):
            hook()

    def _machine(self, key) -> Machine:
        if key not in self.world.machines:
            raise MachineMissing(f"no machine here carries {key}")
        return self.world.machines[key]

    def probe(self):
        self._call("probe")
        return TargetInfo("fake 1", "kvm", 8, 16384, self.world.free_bytes, ("bios", "uefi"))

    def trial(self):
        self._call("trial")
        return self.world.trial

    def access(self, facts):
        return BY_AGENT if facts.has_guest_agent else self.world.access

    def software(self, facts, names, access):
        installed = {package.name: package.version for package in facts.packages}
        return self.world.software or without_way(names, installed, "nothing is installed in a played guest")

    def fetch(self, first_boot, keep_alive=no_keep_alive):
        self._call("fetch", first_boot.software)

    def check(self, spec, facts, kernel=None):
        self._call("check")
        return ()

    def enforcement(self, spec, facts):
        return enforcement(spec, facts)

    def checksum(self, source, progress=no_progress):
        self._call("checksum", source.path)
        progress(50, 100)
        return self.world.source_sha256

    def copy(self, key, source, progress=no_progress):
        machine = self.world.machines.setdefault(key, Machine())
        self._call("copy", key)
        for part in range(1, 5):
            progress(part * GIB // 4, GIB)
        machine.disk_bytes = machine.disk_bytes or GIB
        return DiskRef(key, f"/fake/{key}", machine.sealed or "raw", machine.disk_bytes)

    def copy_data(self, key, index, source, format, progress=no_progress):
        self._call("copy_data", index, source.path, format)
        progress(GIB, GIB)
        return DiskRef(key, f"/fake/{key}/disk{index}", format, GIB)

    def adopt(self, key, index, source, format, progress=no_progress):
        if index:
            return self.copy_data(key, index, source, format, progress)
        machine = self.world.machines.setdefault(key, Machine())
        self._call("adopt", key)
        machine.disk_bytes = machine.disk_bytes or GIB
        return DiskRef(key, f"/fake/{key}", machine.sealed or "raw", machine.disk_bytes)

    def grow(self, disk, size_bytes):
        self._call("grow", size_bytes)
        machine = self._machine(disk.key)
        machine.disk_bytes = max(machine.disk_bytes, size_bytes)
        return Growth(machine.disk_bytes, machine.disk_bytes, machine.disk_bytes)

    def prepare(self, disk, first_boot):
        self._call("prepare", first_boot.kernel)
        machine = self._machine(disk.key)
        if machine.state == "on":
            raise PrepareRefused("the machine is on")
        if first_boot.kernel and first_boot.kernel not in self.world.kernels:
            raise KernelUnavailable(first_boot.kernel)
        machine.kernel = first_boot.kernel or machine.kernel
        machine.modules = first_boot.kernel_modules
        self.world.brought = first_boot.packages
        return Preparation("offline", (f"kernel {machine.kernel}",))

    def install_kernel(self, disk, spec, first_boot, keep_alive=no_keep_alive):
        self._call("install_kernel", first_boot.kernel)
        self.world.kernels += (first_boot.kernel,)

    def seal(self, disk, format, progress=no_progress):
        self._call("seal", format)
        self._machine(disk.key).sealed = format
        progress(GIB, GIB)
        return replace(disk, format=format)

    def create(self, spec, disk):
        self._call("create", spec.key)
        machine = self._machine(spec.key)
        machine.spec = machine.spec or spec
        return self._ref(spec.key)

    def _ref(self, key):
        spec = self._machine(key).spec
        forwards = {f"tcp/{f.guest_port}": 40000 + f.guest_port for f in spec.forwards}
        return MachineRef("qemu", key, spec.name, forwards)

    def machines(self, key=None):
        keys = [key] if key else list(self.world.machines)
        return tuple(self._ref(k) for k in keys if k in self.world.machines and self.world.machines[k].spec)

    def keys(self):
        return tuple(self.world.machines)

    def power(self, ref, want, timeout_s=60, hard=False):
        self._call("power", want)
        self._machine(ref.key).state = want
        return self.status(ref)

    def reset(self, ref, timeout_s=60):
        self._call("reset")

    def status(self, ref):
        machine = self.world.machines.get(ref.key)
        return Status(machine.state, machine.state == "on") if machine else Status("missing")

    def console(self, ref, max_bytes=65536):
        self._machine(ref.key)
        return "\x1b[H\x1b[J\x1b[1;1Hlogin: \x00"

    def wait_ready(self, ref, timeout_s, keep_alive=no_keep_alive):
        self._call("wait_ready")
        keep_alive()

    def accepted(self, ref, host_port):
        return self._machine(ref.key).state == "on"

    def run(self, ref, script, timeout_s, once_key=None, keep_alive=no_keep_alive):
        self._call("run", once_key)
        if once_key is None:
            return Result(0, "bios\n", "", 0.1)
        if once_key not in self.world.finished:
            self.world.started.append(once_key)
            self.world.texts[once_key] = script
            found = (result for text, result in self.world.scripts.items() if text in script)
            self.world.finished[once_key] = next(found, Result(0, "done\n", "", 1.5))
        keep_alive()
        return self.world.finished[once_key]

    def script_output(self, ref, once_key, max_bytes):
        self._call("script_output", once_key)
        return self.world.written

    def stop_script(self, ref, once_key):
        self._call("stop_script", once_key)

    def guest_report(self, ref):
        machine = self._machine(ref.key)
        return GuestReport(
            kernel=machine.kernel,
            vcpus=machine.spec.vcpus,
            memory_mib=self.world.memory_mib or machine.spec.memory_mib - 50,
            root_disk_bytes=machine.disk_bytes,
            root_filesystem_bytes=machine.disk_bytes,
            hostname="web01",
            os_release={"ID": "debian", "VERSION_ID": "12"},
            modules=machine.modules,
            mounts=("/dev/vda2 / ext4",),
            failed_units=(),
            kernels=self.world.kernels,
            disks=self.world.disks,
        )

    def inventory(self, ref, names, brought=(), keep_alive=no_keep_alive):
        self._call("inventory", brought)
        return self.world.inventory

    def set_default_kernel(self, ref, version):
        self._call("set_default_kernel", version)

    def apply_security_groups(self, ref, groups):
        self._call("apply_security_groups", tuple(group.name for group in groups))
        return Applied("network.security_groups", True, "table inet personas")

    def apply_bandwidth(self, ref, mbps):
        self._call("apply_bandwidth", mbps)
        return Applied("network.bandwidth_mbps", True, f"rate {mbps}Mbit")

    def tag(self, ref, tags):
        self._machine(ref.key).tags = dict(tags)
        return Applied("monitoring_tags", True, str(tags))

    def destroy(self, key, keep_disks=False):
        self._call("destroy", key)
        return ("disk", "machine") if self.world.machines.pop(key, None) else ()
