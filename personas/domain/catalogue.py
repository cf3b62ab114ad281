"""The starter catalogue as data, read from `personas/catalogue/`: what an empty instance offers at once."""

from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field

from personas.domain.drivers import Driver, dump_drivers
from personas.domain.part import Part
from personas.domain.security_groups import SecurityGroup, dump_groups
from personas.domain.settings import MigrationSettings, Resources, Slug, validate_document

FOLDER = Path(__file__).resolve().parent.parent / "catalogue"


class Entry(Part):
    slug: Slug
    name: str
    description: str = ""


class DriverSetEntry(Entry):
    drivers: list[Driver]
    distributions: list[str] = Field(default_factory=list)

    def columns(self) -> dict[str, Any]:
        return {**_named(self), "drivers": dump_drivers(self.drivers), "distributions": self.distributions}


class ResourceProfileEntry(Entry, Resources):
    def columns(self) -> dict[str, Any]:
        return self.model_dump(exclude_none=True)


class NetworkProfileEntry(Entry):
    bandwidth_mbps: int | None = None
    addressing: str = ""
    security_groups: list[SecurityGroup] = Field(default_factory=list)

    def columns(self) -> dict[str, Any]:
        return {
            **_named(self),
            "bandwidth_mbps": self.bandwidth_mbps,
            "addressing": self.addressing,
            "security_groups": dump_groups(self.security_groups),
        }


class ScriptEntry(Entry):
    @property
    def body(self) -> str:
        """The whole text: a prelude that all share, then the script's own lines; runs under any POSIX shell."""
        texts = [(FOLDER / "scripts" / f"{name}.sh").read_text() for name in ("prelude", self.slug)]
        return f"#!/bin/sh\nNAME={self.slug}\n" + "\n".join(texts)


class PersonaSettings(MigrationSettings):
    """A persona of the catalogue names its profiles by slug, where a document would write out their values."""

    resource_profile: Slug
    network_profile: Slug


class PersonaEntry(Entry):
    hints: list[str]
    settings: PersonaSettings

    def document(self) -> dict[str, Any]:
        """What it says besides its two profiles, as a document of the vocabulary."""
        said = self.settings.model_dump(
            mode="json", exclude_unset=True, exclude={"resource_profile", "network_profile"}
        )
        return validate_document(said, layer=f"persona {self.name}")


class Catalogue(Part):
    driver_sets: list[DriverSetEntry]
    resource_profiles: list[ResourceProfileEntry]
    network_profiles: list[NetworkProfileEntry]
    scripts: list[ScriptEntry]
    personas: list[PersonaEntry]

    def drivers_by_set(self) -> dict[str, list[dict[str, Any]]]:
        """Slug of each starter driver set → its drivers as they are stored; needs no database."""
        return {entry.slug: dump_drivers(entry.drivers) for entry in self.driver_sets}


@cache
def catalogue() -> Catalogue:
    return Catalogue.model_validate(yaml.safe_load((FOLDER / "catalogue.yaml").read_text()))


def _named(entry: Entry) -> dict[str, str]:
    return {"slug": entry.slug, "name": entry.name, "description": entry.description}
