"""What is said about one setting, low to high: by the layers themselves and by the driver sets that they name."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from templates_app.domain.drivers import DriverSets, drivers_brought
from templates_app.domain.layers import ABSENT, Layer
from templates_app.domain.rules import DRIVER_LEAVES, RULES, Rule


@dataclass(frozen=True)
class Saying:
    """`value` None un-says what is below. `source` is the layer, or its driver set. `mode` is the layer's list mode.
    `locked_by` is the template whose lock is in the way; empty when the way is free."""

    value: Any
    layer: str
    source: str
    mode: str = ""
    is_default: bool = False
    locked_by: str = ""

    def told(self) -> dict[str, Any]:
        return {"layer": self.source, "value": self.value}


def sayings_about(path: str, layers: Sequence[Layer], driver_sets: DriverSets) -> list[Saying]:
    brought = _brought(path, layers, driver_sets) if path in DRIVER_LEAVES else {}
    return [
        saying for at in range(len(layers)) for saying in _of_layer(path, layers, at, brought.get(at, ()))
    ]


def of_key(key: str, sayings: Sequence[Saying]) -> list[Saying]:
    """What is said about one key of a map; a null for the whole map is a null for each of its keys."""
    return [
        replace(saying, value=None if saying.value is None else saying.value[key])
        for saying in sayings
        if saying.value is None or key in saying.value
    ]


def _of_layer(
    path: str, layers: Sequence[Layer], at: int, brought: Sequence[tuple[str, Any]]
) -> Iterator[Saying]:
    """A null comes first: it un-says what is below, not what the layer says through its own driver set."""
    layer, own = layers[at], layers[at].says(path)
    locked_by = next((below.label for below in layers[:at] if below.locks(path)), "")
    said = Saying(own, layer.label, layer.label, layer.mode(path), layer.is_default, locked_by)
    spoken = [] if own is ABSENT else [said]
    drivers = [replace(said, value=value, source=source, mode="") for source, value in brought]
    own_first = own is None or RULES[path] is Rule.APPEND
    yield from spoken + drivers if own_first else drivers + spoken


def _brought(
    path: str, layers: Sequence[Layer], driver_sets: DriverSets
) -> Mapping[int, list[tuple[str, Any]]]:
    """Place of the layer → (source, value) of each of its drivers.

    Where a template locks `path`, the drivers that stood at that template stay, and those of higher layers are offered
    to the lock, which refuses and reports them.
    """
    lock = next((at for at, layer in enumerate(layers) if layer.locks(path)), len(layers))
    kept = drivers_brought(layers[: lock + 1], driver_sets)
    later = [driver for driver in drivers_brought(layers, driver_sets) if driver.at > lock]
    found: dict[int, list[tuple[str, Any]]] = {}
    for driver in (*kept, *later):
        if (value := driver.gives(path)) is not ABSENT:
            source = f"driver set {driver.driver_set} via {layers[driver.at].label}"
            found.setdefault(driver.at, []).append((source, value))
    return found
