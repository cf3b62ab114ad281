"""The drivers of a DriverSet, and what a set resolves to."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field, TypeAdapter, ValidationError

from personas.domain.settings import (
    Devices,
    InvalidSettings,
    ModuleName,
    PackageName,
    Part,
    Slug,
    VersionSpec,
    told,
)


class Driver(Part):
    """One driver: what the guest's kernel loads, what must be installed for it, and which device it drives."""

    name: Slug
    version: VersionSpec | None = None
    kernel_modules: list[ModuleName] = Field(default_factory=list)
    packages: list[PackageName] = Field(default_factory=list)
    devices: Devices | None = None

    def device_models(self) -> dict[str, str]:
        """{"disk": "virtio-blk-pci", ...}: only the devices that it names."""
        return self.devices.model_dump(exclude_none=True) if self.devices else {}


DRIVERS = TypeAdapter(list[Driver])


def driver_words(driver: Mapping[str, Any]) -> str:
    """`net (virtio_net, virtio-net-pci)`: what it loads, asks for and drives."""
    said = [driver.get("version"), *driver["kernel_modules"], *(driver.get("packages") or ())]
    said += (driver.get("devices") or {}).values()
    told = ", ".join(str(word) for word in said if word)
    return f"{driver['name']} ({told})" if told else str(driver["name"])


def parse_drivers(drivers: Any) -> list[Driver]:
    """Raises InvalidSettings naming each wrong leaf (`0.kernel_modules.1`), a name used twice, or one device
    driven by two different models."""
    try:
        parsed = DRIVERS.validate_python(drivers)
    except ValidationError as error:
        raise InvalidSettings([told(e) for e in error.errors()]) from None
    wrong = [*_repeated(parsed), *_contradictions(parsed)]
    if wrong:
        raise InvalidSettings(wrong)
    return parsed


def _repeated(drivers: list[Driver]) -> list[dict]:
    names = [driver.name for driver in drivers]
    return [
        {"field": f"{index}.name", "message": "is in this set already", "value": name}
        for index, name in enumerate(names)
        if name in names[:index]
    ]


def _contradictions(drivers: list[Driver]) -> list[dict]:
    wrong, seen = [], {}
    for index, driver in enumerate(drivers):
        for kind, model in driver.device_models().items():
            first = seen.setdefault(kind, (driver.name, model))
            if first[1] != model:
                message = f"the driver {first[0]} of this set drives it as {first[1]}"
                wrong.append({"field": f"{index}.devices.{kind}", "message": message, "value": model})
    return wrong


def dump_drivers(drivers: list[Driver]) -> list[dict[str, Any]]:
    """As they are stored: plain data, only what was said."""
    return [driver.model_dump(mode="json", exclude_none=True, exclude_defaults=True) for driver in drivers]


def resolve(drivers: list[Driver]) -> dict[str, Any]:
    """{"kernel_modules": [..], "packages": [..], "devices": {kind: model}}: lists unique in order of the drivers,
    and of two drivers of one device the later wins (a set that a persona extends)."""
    devices: dict[str, str] = {}
    for driver in drivers:
        devices.update(driver.device_models())
    return {
        "kernel_modules": list(dict.fromkeys(name for d in drivers for name in d.kernel_modules)),
        "packages": list(dict.fromkeys(name for d in drivers for name in d.packages)),
        "devices": devices,
    }


def extend(base: list[Driver], by: list[Driver]) -> list[Driver]:
    """The union by driver name: `by`'s version wins and keeps the place of the one that it replaces."""
    return list({driver.name: driver for driver in [*base, *by]}.values())
