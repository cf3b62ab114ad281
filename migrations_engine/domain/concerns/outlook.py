"""What a concern is, and what concerns are drawn from."""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from analyzer.domain.facts import Facts
from migrations_engine.domain import machine
from migrations_engine.domain.access import BY_AGENT, Access
from migrations_engine.domain.disk_bus import BusChoice
from migrations_engine.domain.kernels import KernelChoice
from migrations_engine.domain.machine import MachineSpec
from migrations_engine.domain.software import NOTHING, Software


class Severity(StrEnum):
    CRITICAL = "Critical"
    WARNING = "Warning"
    INFORMATION = "Information"


@dataclass(frozen=True)
class Concern:
    """`id` is stable (for filters, tests, documentation); `subject` is the setting that it is about, or empty."""

    id: str
    category: str
    severity: Severity
    text: str
    action: str = ""
    subject: str = ""

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


@dataclass(frozen=True)
class Outlook:
    """What concerns are drawn from. `scripts`: [{"name", "interpreter", "approved"?}]; `notices`: of the personas,
    [{"persona", "blocks", "text", "action"}]; `unknown`: (what, name) that no row has; `made_for`: of each driver set
    that stands, the os-release IDs that it is for, none for any; `cards`: the source's network cards in words, none
    where it does not tell; `staging`: {"free_bytes", "is_certain", "shares_room"} of the place here that a hypervisor's
    disks are fetched to, in each mode or in some, and whether copies are made there too."""

    settings: Mapping[str, Any]
    spec: MachineSpec
    facts: Facts | None
    kernel: KernelChoice
    disks: tuple[Mapping[str, Any], ...]
    scripts: tuple[Mapping[str, Any], ...] = ()
    notices: tuple[Mapping[str, Any], ...] = ()
    unknown: tuple[tuple[str, str], ...] = ()
    access: Access = BY_AGENT
    software: Software = NOTHING
    disk_bus: BusChoice | None = None
    made_for: Mapping[str, Collection[str]] = field(default_factory=dict)
    enforcement: tuple[machine.Enforcement, ...] = ()
    target: tuple[machine.Concern, ...] = ()
    free_bytes: int | None = None
    has_persona: bool = True
    refused: tuple[Mapping[str, Any], ...] = ()
    missing_since: str = ""
    namesakes: tuple[str, ...] = ()
    cards: tuple[str, ...] = ()
    staging: Mapping[str, Any] | None = None
