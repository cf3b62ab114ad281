"""Words of the tools in ours."""

from typing import Any

from analyzer.domain.inventory import number

_POWER = {"poweredon": "on", "on": "on", "running": "on", "poweredoff": "off", "off": "off", "stopped": "off"}
_FIRMWARE = {"bios": "bios", "efi": "uefi", "uefi": "uefi"}


def power(value: Any) -> str:
    return _POWER.get(str(value).strip().lower().replace(" ", ""), "unknown")


def firmware(value: Any) -> str:
    return _FIRMWARE.get(str(value).strip().lower(), "")


def size_bytes(value: Any, unit: int) -> int | None:
    """`value` × `unit`; None for an empty cell. Raises ValueError in words."""
    told = number(value)
    if told is None:
        return None
    if told <= 0:
        raise ValueError(f"{told:g} is not the size of a disk")
    return round(told * unit)


def pairs(text: Any, between: str, equals: str) -> dict[str, str]:
    """`a=1;b=2` → {"a": "1", "b": "2"}; a word without a value has an empty one."""
    words = (each.partition(equals) for each in str(text).split(between))
    return {key.strip(): value.strip() for key, _, value in words if key.strip()}


def listed(text: Any) -> list[str]:
    return [each.strip() for each in str(text).split(";") if each.strip()]


def told(**tags: Any) -> dict[str, str]:
    """Without the empty ones."""
    return {key: str(value) for key, value in tags.items() if value not in ("", None)}
