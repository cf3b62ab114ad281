"""A whole move of the sample Debian beside virt-v2v: ours from the scan to the verified machine whose script has ended,
virt-v2v's from its conversion to the same guest up, in a QEMU of the same kind. Both end as qcow2."""

import statistics
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings

from config.quickstart.guests import Guest, build_guest
from migrations_engine.domain.machine import DiskRef, MachineSpec
from migrations_engine.targets.qemu import images
from migrations_engine.targets.qemu.folder import Folder
from migrations_engine.targets.registry import open_target
from tests.bench.frame import Benchmark, Figure, own_database
from tests.bench.image_scan import appliance

PEER, TIMES = "virt-v2v", 5
SIZE = {"vcpus": 2, "memory_mib": 1024}  # of both machines
BOOT_S = 900
Phases = dict[str, float]  # seconds, in the order in which they came


def measure(scratch: Path, rounds: int) -> Iterator[Figure]:
    guest = build_guest("full", settings.CACHE_DIR / "guests")
    with own_database():
        ours = [moved() for _ in range(rounds)]
    peers = [converted(guest, scratch, f"round-{number}") for number in range(rounds)]
    for side, each in (("engine", ours[-1]), (PEER, peers[-1])):
        for phase, seconds in each.items():
            yield Figure(f"{side}: {phase}"[:60], seconds, "s")
    seconds = {"engine": [sum(each.values()) for each in ours], PEER: [sum(each.values()) for each in peers]}
    ratio = statistics.median(seconds[PEER]) / statistics.median(seconds["engine"])
    yield Figure("whole move of a Debian", ratio, "x", at_least=TIMES, seconds=seconds)


def moved() -> Phases:
    """By the four steps of a run, as a worker takes them."""
    from migrations_engine import runner
    from migrations_engine.domain.states import STEPS, RunState
    from migrations_engine.models import MigratedVM
    from migrations_engine.services.migrated import migrated_vm_remove
    from migrations_engine.services.runs import run_create
    from tests.real.estate import real_estate

    estate = real_estate("full", script="systemctl is-active nginx", template={}, persona={})
    run = run_create(**estate.launch(overrides={"resources": SIZE}))
    started = time.time()
    for name in STEPS:
        runner.execute(run_id=run.pk, name=name)
    ended = time.time()
    run.refresh_from_db()
    assert (run.state, run.root_cause) == (RunState.SUCCEEDED, "")
    migrated_vm_remove(migrated_vm=MigratedVM.objects.get(run=run), by=estate.operator)
    told = [(event.at.timestamp(), event.text) for event in run.events.exclude(step="") if is_phase(event)]
    ends = [at for at, _ in told[1:]] + [ended]
    lead = {"claiming the first step": told[0][0] - started}
    return lead | {text: end - at for (at, text), end in zip(told, ends, strict=True)}


def is_phase(event) -> bool:
    return event.text.split()[0].endswith("ing")  # "Copying the disk"; the others tell what was found


def converted(guest: Guest, scratch: Path, name: str) -> Phases:
    """By virt-v2v, then booted until its services have started, as a run waits for them."""
    phases: Phases = {}
    environment, out = appliance(guest, scratch), scratch / name
    out.mkdir()
    command = [PEER, "-i", "disk", str(guest.path), "-o", "local", "-os", str(out), "-of", "qcow2", "-on", "peer"]
    with timed(phases, "converting"):
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    target = open_target("qemu", root=scratch / "machines")
    try:
        with timed(phases, "booting"):
            booted(target, name, out / "peer-sda")
    finally:
        target.destroy(name)
    return phases


def booted(target, key: str, disk: Path) -> None:
    from migrations_engine.steps.migrate import HAS_STARTED

    folder = Folder(target.root / key)
    folder.path.mkdir(parents=True)
    size = images.inspect(disk, "qcow2")
    disk.rename(folder.qcow2)
    folder.write(copied={"from": PEER, "virtual_bytes": size}, sealed={"format": "qcow2"})  # it needs no copy
    ref = target.create(MachineSpec(key=key, name="peer", **SIZE), DiskRef(key, str(folder.qcow2), "qcow2", size))
    target.power(ref, "on")
    target.wait_ready(ref, BOOT_S)
    assert target.run(ref, HAS_STARTED, BOOT_S).exit_code == 0
    assert target.guest_report(ref).vcpus == SIZE["vcpus"]


@contextmanager
def timed(phases: Phases, name: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    phases[name] = time.perf_counter() - started


BENCHMARK = Benchmark(
    "virt-v2v",
    "How many times as fast as virt-v2v and a boot is a whole move?",
    measure,
    rounds=1,
    packages=("bench_scan", "bench_v2v"),
)
