"""Whether machines run on KVM or by emulation. /dev/kvm alone proves nothing, so a guest is booted to find out."""

import json
import os
import subprocess
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

BOOT_S = 60  # emulation on a busy machine; idle it needs one
SLOWER, START_S = 1.5, 1.0  # real KVM needs as long as emulation, a broken nested one sixty times
SAYS_YES = 0x21
# mov dx, 0x501; mov al, 0x21; out dx, al; hlt — the exit device ends QEMU with (value << 1) | 1
BOOT_SECTOR = bytes((0xBA, 0x01, 0x05, 0xB0, SAYS_YES, 0xEE, 0xF4)).ljust(510, b"\0") + b"\x55\xaa"


@dataclass(frozen=True)
class Accelerator:
    name: str  # "kvm" or "tcg"
    reason: str


def accelerator(root: Path) -> Accelerator:
    """Probed once for this boot of this machine, then read from `root`."""
    kept = root / "accelerator.json"
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    try:
        known = json.loads(kept.read_text())
        if known.pop("boot_id") == boot_id:
            return Accelerator(**known)
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        pass  # never asked, or asked by an older version: ask now
    return remember(root, _probe())


def remember(root: Path, found: Accelerator) -> Accelerator:
    """Also called when a guest dies on KVM after all."""
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = root / f"accelerator.{os.getpid()}.part"
    draft.write_text(json.dumps({**asdict(found), "boot_id": boot_id}))
    draft.rename(root / "accelerator.json")
    return found


def _probe() -> Accelerator:
    """KVM where a guest boots on it about as soon as by emulation: nested KVM may boot one, and take minutes for it."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return Accelerator("tcg", "no access to /dev/kvm")
    with tempfile.TemporaryDirectory(prefix="mp-probe-") as folder:
        disk = Path(folder, "boot.raw")
        disk.write_bytes(BOOT_SECTOR.ljust(2**20, b"\0"))
        emulated_s, _ = _boot(disk, "tcg", BOOT_S)
        patience_s = START_S + SLOWER * emulated_s
        took_s, code = _boot(disk, "kvm", patience_s)
    return judged(took_s, code, patience_s)


def judged(took_s: float, code: int | None, patience_s: float) -> Accelerator:
    """Of a boot on KVM that took so long and ended with `code`, None where it had not ended after `patience_s`."""
    if code is None or took_s >= patience_s:
        return Accelerator("tcg", f"a guest on KVM did not boot within {patience_s:.1f} s; emulation is quicker")
    if code == SAYS_YES << 1 | 1:
        return Accelerator("kvm", f"a guest booted on it in {took_s:.1f} s")
    return Accelerator("tcg", f"/dev/kvm is there, but a guest on it does not live (QEMU: {code})")


def _boot(disk: Path, name: str, timeout_s: float) -> tuple[float, int | None]:
    """(seconds, QEMU's exit code or None) of one start of the boot sector."""
    cpu = {"kvm": "host", "tcg": "max"}[name]
    command = ["qemu-system-x86_64", "-machine", "q35", "-accel", name, "-cpu", cpu, "-smp", "2", "-m", "128M",
               "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
               "-device", "isa-debug-exit,iobase=0x501,iosize=2",
               "-drive", f"file={disk},format=raw,if=none,id=root",
               "-device", "virtio-blk-pci,drive=root"]  # fmt: skip
    began = time.monotonic()
    try:
        ended = subprocess.run(command, capture_output=True, timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired:
        return timeout_s, None
    return time.monotonic() - began, ended.returncode
