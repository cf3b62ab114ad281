"""UEFI for PCs (OVMF), where this machine has it."""

from dataclasses import dataclass
from pathlib import Path

from migrations_engine.domain.machine import MachineSpec
from migrations_engine.targets.base import SpecRefused

# Debian's, Fedora's and Arch's places; code and the empty variables that belong to it
PLACES = (
    ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
    ("/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"),
    ("/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"),
    ("/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"),
)


@dataclass(frozen=True)
class Ovmf:
    code: Path
    variables: Path


def ovmf() -> Ovmf | None:
    for code, variables in PLACES:
        if Path(code).exists() and Path(variables).exists():
            return Ovmf(Path(code), Path(variables))
    return None


def firmware_of(spec: MachineSpec) -> Ovmf | None:
    """None for QEMU's own BIOS. Raises SpecRefused where it has to be UEFI and there is none here."""
    if spec.firmware != "uefi":
        return None
    if (found := ovmf()) is None:
        raise SpecRefused("uefi firmware is not installed here (Debian package ovmf)")
    return found
