"""Packages that the settings ask for: which the machine has, which its copy installs, and which cannot be had."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from migrations_engine.domain.debian import Package, Unsuitable, to_add

State = Literal["present", "added", "lacking"]


@dataclass(frozen=True)
class Asked:
    """One package that was asked for. `version`: the one that is there, or will be. `reason`: why there is none."""

    name: str
    state: State
    version: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Software:
    """`adds` ("name=version"): what the guest installs at its first boot, with all that it needs.

    `fetch_bytes` is the size of the files; while they are installed the root file system holds them as well.
    """

    asked: tuple[Asked, ...] = ()
    adds: tuple[str, ...] = ()
    fetch_bytes: int = 0
    installed_bytes: int = 0

    @property
    def needed_bytes(self) -> int:
        return self.fetch_bytes + self.installed_bytes

    @property
    def added_names(self) -> frozenset[str]:
        return frozenset(each.partition("=")[0] for each in self.adds)

    def in_state(self, state: State) -> list[Asked]:
        return [each for each in self.asked if each.state == state]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"asked": [asdict(each) for each in self.asked], "adds": list(self.adds)}


NOTHING = Software()


@dataclass(frozen=True)
class Inventory:
    """What the guest's own package manager says of the packages asked for: name → version of those that it has, None
    where it has no manager that can be asked. `problem`: its words where what was brought was not installed."""

    versions: Mapping[str, str] | None = None
    problem: str = ""


NOT_ASKED = Inventory()


def software_from(stored: Mapping[str, Any] | None) -> Software:
    """The inverse of `as_dict`; plans of before have none."""
    if not stored:
        return NOTHING
    asked = tuple(Asked(**each) for each in stored["asked"])
    return Software(**{**stored, "asked": asked, "adds": tuple(stored["adds"])})


def choose(names: Iterable[str], offered: Mapping[str, Package], installed: Mapping[str, str]) -> Software:
    """What it takes to have `names`. One that cannot be had stands in nobody's way."""
    adds: list[Package] = []
    asked = []
    for name in names:
        try:
            new = to_add(name, offered, installed, adds)
        except Unsuitable as error:
            asked.append(Asked(name, "lacking", reason=str(error)))
            continue
        adds += new
        asked.append(_had(name, adds, installed))
    return Software(
        asked=tuple(asked),
        adds=tuple(f"{each.name}={each.version}" for each in adds),
        fetch_bytes=sum(each.fetch_bytes for each in adds),
        installed_bytes=sum(each.installed_bytes for each in adds),
    )


def _had(name: str, adds: Iterable[Package], installed: Mapping[str, str]) -> Asked:
    """It may have come along with one that was asked for before; and another may provide it."""
    if name in installed:
        return Asked(name, "present", installed[name])
    version = next((each.version for each in adds if each.name == name), "")
    return Asked(name, "added" if version else "present", version)


def without_way(names: Iterable[str], installed: Mapping[str, str], reason: str) -> Software:
    """For a machine that nothing can be brought to."""
    return Software(
        tuple(
            Asked(name, "present", installed[name])
            if name in installed
            else Asked(name, "lacking", "", reason)
            for name in names
        )
    )
