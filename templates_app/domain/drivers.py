"""What the driver sets of the layers bring, and which layer brings it.

Only the driver set that stands in the end brings anything: a template's `legacy` that a persona replaces by `virtio`
leaves no module behind. With `list_modes: {driver_set: extend}` a persona adds its set to the one below: drivers are
united by name, and of two drivers of one name the persona's stays.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from personas.domain.settings import InvalidSettings
from templates_app.domain.layers import ABSENT, Layer

Driver = Mapping[str, Any]
"""{"name", "version"?, "kernel_modules"?: [..], "packages"?: [..], "devices"?: {"disk": ..}}"""

DriverSets = Mapping[str, Sequence[Driver]]
"""Slug → drivers, in order."""


@dataclass(frozen=True)
class Brought:
    """One driver, the set it comes from and the place (index, low to high) of the layer that names the set."""

    at: int
    driver_set: str
    driver: Driver

    def gives(self, path: str) -> Any:
        """For `kernel_modules` and `packages` a list, for `devices.disk` a word; ABSENT when it gives none."""
        first, _, rest = path.partition(".")
        value = self.driver.get(first)
        if rest:
            value = (value or {}).get(rest)
        return value or ABSENT


def check_driver_sets(layers: Sequence[Layer], known: DriverSets) -> None:
    """Raises InvalidSettings for every layer that names a driver set that is not there."""
    wrong = [
        {
            "layer": layer.label,
            "field": "driver_set",
            "message": f"there is no such driver set; known: {', '.join(sorted(known)) or 'none'}",
            "value": slug,
        }
        for layer in layers
        if (slug := layer.says("driver_set")) not in (ABSENT, None) and slug not in known
    ]
    if wrong:
        raise InvalidSettings(wrong)


def drivers_brought(layers: Sequence[Layer], known: DriverSets) -> list[Brought]:
    """The drivers that stand after the last of `layers`. A template's lock on `driver_set` keeps what stands there."""
    standing: dict[str, Brought] = {}
    for at, layer in enumerate(layers):
        slug = layer.says("driver_set")
        if slug is ABSENT or any(below.locks("driver_set") for below in layers[:at]):
            continue
        if slug is None or layer.mode("driver_set") != "extend":
            standing = {}
        if slug is not None:
            standing |= {driver["name"]: Brought(at, slug, driver) for driver in known[slug]}
    return list(standing.values())
