"""What a hypervisor allows and does, found out by doing it: a volume, a machine, its card with a limit and a filter.

Everything is named by a key of its own and removed again. What works is what plans may promise.
"""

import contextlib
import secrets
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

from migrations_engine.domain.machine import MachineSpec, Rule, SecurityGroup
from migrations_engine.targets.base import TargetError, Trial, no_progress
from migrations_engine.targets.libvirt.domain import Layout, Volume, domain_xml
from migrations_engine.targets.libvirt.filters import filter_xml
from migrations_engine.targets.libvirt.link import LibvirtFailed, Link
from migrations_engine.targets.libvirt.marks import filter_name, volume_name
from migrations_engine.targets.libvirt.pool import Pool
from migrations_engine.targets.qemu.command import machine_uuid

LIVES_S = 4  # a BIOS on KVM needs one; on nested KVM that is no use it needs twelve
# mov dx, 0x3f8; mov al, 'K'; out dx, al; hlt; jmp -3: a letter on the serial line
BOOT_SECTOR = bytes((0xBA, 0xF8, 0x03, 0xB0, 0x4B, 0xEE, 0xF4, 0xEB, 0xFD)).ljust(510, b"\0") + b"\x55\xaa"
WEB = (SecurityGroup("trial", (Rule("tcp", 80, 80),)),)


@dataclass(frozen=True)
class Bench:
    """One trial's things at the hypervisor."""

    link: Link
    key: str

    @property
    def pool(self) -> Pool:
        return Pool(self.link, self.link.place.pool)

    @property
    def disk(self) -> Volume:
        return Volume(volume_name(self.key, "disk0", "raw"), "raw")

    @property
    def console(self) -> str:
        return volume_name(self.key, "console", "log")

    def spec(self, **card) -> MachineSpec:
        return MachineSpec(self.key, "trial", 1, 64, **card)

    def layout(self, accelerator: str = "tcg", **card) -> Layout:
        path = self.pool.ensure_text(self.console)
        return Layout(accelerator, self.link.place.pool, (self.disk,), path, **card)

    def start(self, spec: MachineSpec, layout: Layout, *options: str) -> None:
        """For a moment: a machine that is not kept. Raises LibvirtFailed."""
        try:
            self.link.ask("create", "/dev/stdin", *options, stdin=domain_xml(spec, layout))
        finally:
            self.stop()

    def stop(self) -> None:
        with contextlib.suppress(LibvirtFailed):  # it was not started
            self.link.ask("destroy", str(machine_uuid(self.key)))


def trial(link: Link) -> Trial:
    bench = Bench(link, f"trial-{secrets.token_hex(6)}")
    try:
        return _tried(bench)
    finally:
        for name in (bench.disk.name, bench.console):
            with contextlib.suppress(LibvirtFailed):  # it was not made, or may not be removed, which was said
                bench.pool.delete(name)
        with contextlib.suppress(LibvirtFailed):
            link.ask("nwfilter-undefine", filter_name(bench.key))


def _tried(bench: Bench) -> Trial:
    if refused := _refusal(_keep_a_disk, bench):
        return Trial(missing=(f"The pool {bench.link.place.pool} does not take a disk: {refused}",))
    if refused := _refusal(bench.start, bench.spec(), bench.layout(), "--paused"):
        return Trial(missing=(f"No machine can be started: {refused}",))
    found = Trial("kvm" if _lives_on_kvm(bench) else "tcg")
    if network := bench.link.place.network:
        return _network_tried(bench, found, network)
    return found


def _network_tried(bench: Bench, found: Trial, network: str) -> Trial:
    if refused := _refusal(bench.start, bench.spec(), bench.layout(network=network), "--paused"):
        return replace(found, missing=(f"The network {network} takes no card: {refused}",))
    limited = bench.spec(bandwidth_mbps=100)
    tries = {
        "bandwidth": lambda: bench.start(limited, bench.layout(network=network), "--paused"),
        "filters": lambda: _filtered(bench, network),
    }
    refusals = {name: _refusal(attempt) for name, attempt in tries.items()}
    return replace(
        found,
        enforces=frozenset(name for name, refused in refusals.items() if not refused),
        notes=tuple(f"No {name} at the hypervisor: {refused}" for name, refused in refusals.items() if refused),
    )


def _filtered(bench: Bench, network: str) -> None:
    bench.link.ask("nwfilter-define", "/dev/stdin", stdin=filter_xml(bench.key, WEB))
    bench.start(
        bench.spec(security_groups=WEB),
        bench.layout(network=network, filter=filter_name(bench.key)),
        "--paused",
    )


def _keep_a_disk(bench: Bench) -> None:
    with tempfile.NamedTemporaryFile(prefix="mp-trial-") as file:
        file.write(BOOT_SECTOR.ljust(2**20, b"\0"))
        file.flush()
        bench.pool.upload(Path(file.name), bench.disk, 2**20, no_progress)


def _lives_on_kvm(bench: Bench) -> bool:
    """A guest that says something: KVM may be there, and let every guest die."""
    try:
        bench.link.ask("create", "/dev/stdin", stdin=domain_xml(bench.spec(), bench.layout("kvm")))
        deadline = time.monotonic() + LIVES_S
        while time.monotonic() < deadline:
            if "K" in bench.pool.end_of(bench.console, 16):
                return True
            if bench.link.ask("domstate", str(machine_uuid(bench.key))) != "running":
                return False
            time.sleep(0.2)
    except LibvirtFailed:
        return False  # it refuses, or the machine ended at once and is gone
    finally:
        bench.stop()
    return False


def _refusal(attempt, *arguments) -> str:
    try:
        attempt(*arguments)
    except (TargetError, OSError) as error:
        return str(error)
    return ""
