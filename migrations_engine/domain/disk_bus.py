"""The bus of the disk, which two settings name: `storage.bus`, and `devices.disk` that a driver set brings."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from migrations_engine.domain.settings_path import leaf

OF_DEVICE = {"virtio-blk-pci": "virtio", "virtio-scsi-pci": "scsi", "ide-hd": "sata"}
DEFAULT = "virtio"


@dataclass(frozen=True)
class BusChoice:
    """`reason` is a sentence where two layers contradict each other, empty otherwise."""

    bus: str
    reason: str = ""


def choose(
    settings: Mapping[str, Any], *, origin: Iterable[Mapping[str, Any]] = (), layers: Sequence[str] = ()
) -> BusChoice:
    """`origin`: the merge's rows. `layers`: labels, low to high.

    The higher layer's word counts, as everywhere; in one layer what it says itself beats what its driver set brings,
    and of two things that it says itself the device model, which is the more exact.
    """
    bus, model = leaf(settings, "storage.bus"), leaf(settings, "devices.disk")
    implied = OF_DEVICE.get(model)
    if implied is None or bus in (None, implied):
        return BusChoice(implied or bus or DEFAULT)
    said_by = {row["path"]: row["layer"] for row in origin}
    by_bus, by_device = said_by.get("storage.bus", ""), said_by.get("devices.disk", "")
    chosen = bus if _rank(by_bus, layers) > _rank(by_device, layers) else implied
    if by_bus in ("", "system"):  # a default contradicts nobody
        return BusChoice(chosen)
    return BusChoice(
        chosen, f"{bus} is asked for by {by_bus}, {model} by {by_device}: the disk is attached by {chosen}."
    )


def _rank(label: str, layers: Sequence[str]) -> tuple[int, bool]:
    """ "driver set virtio via persona:A@1" → (place of persona:A@1, it does not say it itself)."""
    is_brought = label.startswith("driver set ")
    layer = label.partition(" via ")[2] if is_brought else label
    return (layers.index(layer) if layer in layers else -1, not is_brought)
