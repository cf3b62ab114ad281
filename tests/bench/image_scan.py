"""Scanning the disk of a whole Debian beside libguestfs' virt-inspector: the same image, the same packages found."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

from analyzer.scanner.scan import scan_image
from config.quickstart.guests import Guest, build_guest
from config.quickstart.guests.apt import Apt, unpack
from migrations_engine.targets.qemu.accelerator import accelerator
from tests.bench.frame import Benchmark, Figure, Side, race

PEER = "virt-inspector"
WHERE_SUPERMIN_LOOKS = Path("/lib/modules")  # even when it is told of other modules


def measure(scratch: Path, rounds: int) -> Iterator[Figure]:
    guest = build_guest("full", settings.CACHE_DIR / "guests")
    environment = appliance(guest, scratch)
    told: dict[str, set[str]] = {}

    def ours():
        facts = scan_image(guest.path, guest.format)
        told["scan"] = {package.name for package in facts.packages}

    def peer():
        command = [PEER, f"--format={guest.format}", "-a", str(guest.path)]
        report = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
        told[PEER] = set(re.findall(r"<application>\s*<name>([^<]+)</name>", report))

    yield race("scan of a Debian image", Side("scan", ours), Side(PEER, peer), rounds=rounds, at_least=100)
    yield Figure("packages it finds and we do not", len(told[PEER] - told["scan"]), "", at_most=0)
    yield Figure("packages found", len(told["scan"]), "", at_least=len(told[PEER]))


def appliance(guest: Guest, scratch: Path) -> dict[str, str]:
    """The environment in which libguestfs builds its appliance: with the kernel of the guest's package, because a
    container has none of its own, and with the same accelerator as our machines."""
    version = guest.default_kernel
    for package in Apt.open(scratch).download([f"linux-image-{version}"], scratch):
        unpack(package, scratch)
    subprocess.run(["/usr/sbin/depmod", "-b", scratch, version], check=True)
    WHERE_SUPERMIN_LOOKS.mkdir(exist_ok=True)
    name = accelerator(scratch).name
    return {
        **os.environ,
        "SUPERMIN_KERNEL": f"{scratch}/boot/vmlinuz-{version}",
        "SUPERMIN_KERNEL_VERSION": version,
        "SUPERMIN_MODULES": f"{scratch}/lib/modules/{version}",
        "LIBGUESTFS_BACKEND": "direct",
        "LIBGUESTFS_CACHEDIR": str(scratch),
        **({"LIBGUESTFS_BACKEND_SETTINGS": "force_tcg"} if name == "tcg" else {}),
    }


BENCHMARK = Benchmark(
    "image-scan",
    "How many times as fast as virt-inspector is a scan?",
    measure,
    rounds=3,
    packages=("bench_scan",),
)
