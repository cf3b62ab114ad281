"""Whether machines run on KVM or by emulation. /dev/kvm alone proves nothing, so a guest is booted to find out."""

import json
import os
import subprocess
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

BOOT_S = 15
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
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return Accelerator("tcg", "no access to /dev/kvm")
    with tempfile.TemporaryDirectory(prefix="mp-probe-") as folder:
        disk = Path(folder, "boot.raw")
        disk.write_bytes(BOOT_SECTOR.ljust(2**20, b"\0"))
        command = ["qemu-system-x86_64", "-machine", "q35", "-accel", "kvm", "-cpu", "host", "-smp", "2", "-m", "128M",
                   "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
                   "-device", "isa-debug-exit,iobase=0x501,iosize=2",
                   "-drive", f"file={disk},format=raw,if=none,id=root",
                   "-device", "virtio-blk-pci,drive=root"]  # fmt: skip
        try:
            ended = subprocess.run(command, capture_output=True, text=True, timeout=BOOT_S, check=False)
        except subprocess.TimeoutExpired:
            return Accelerator("tcg", f"a guest on KVM did not boot within {BOOT_S} s")
    if ended.returncode == SAYS_YES << 1 | 1:
        return Accelerator("kvm", "a guest booted on it")
    return Accelerator("tcg", f"/dev/kvm is there, but a guest on it does not live (QEMU: {ended.returncode})")
