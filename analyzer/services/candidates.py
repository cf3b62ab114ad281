"""The personas that the machines of a department can be suggested, as the rules and the learner know them."""

from functools import lru_cache

from django.db.models import Q

from analyzer.domain.recommend import Candidate
from analyzer.models import VirtualMachine
from personas.models import Department, Persona
from personas.models.settings_columns import PARTS

WIDEST_RANGE = 16  # a rule that opens more ports than that says nothing of which service is meant
KEPT = 16  # departments whose candidates a process keeps at hand

Candidates = tuple[Candidate, ...]


def personas_usable(vm: VirtualMachine):
    """Those of the machine's department and of the organisation, archived ones left out."""
    return _usable(vm.department)


def personas_of(department: Department | None) -> list[Persona]:
    """The same, with all that a candidate is made of."""
    return list(_usable(department).select_related(*PARTS))


def _usable(department: Department | None):
    own = Q(department__isnull=True) | Q(department=department)
    return Persona.objects.active().filter(own).order_by("name")


def candidates_of(department: Department | None) -> Candidates:
    """By name. Read anew only after a row that they are made of has changed: 200 personas are a third of a ranking."""
    return _read(department, candidates_stamp(department))


def candidates_stamp(department: Department | None) -> tuple:
    """Another one after each change of a persona or a part of one."""
    changes = ("updated_at", *(f"{part}__updated_at" for part in PARTS))
    return tuple(_usable(department).values_list("pk", *changes))


@lru_cache(maxsize=KEPT)
def _read(department: Department | None, stamp: tuple) -> Candidates:
    return tuple(candidate_of(each) for each in personas_of(department))


def candidate_of(persona: Persona) -> Candidate:
    document = persona.document()
    checks = document.get("acceptance_checks") or []
    resources = document.get("resources") or {}
    distribution = document.get("distribution") or {}
    drivers = persona.default_driver_set
    return Candidate(
        id=str(persona.pk),
        name=persona.name,
        description=persona.description,
        hints=tuple(map(str, persona.hints)),
        packages=tuple(document.get("packages") or ()),
        units=tuple(check["unit"] for check in checks if check["kind"] == "systemd_unit"),
        ports=frozenset(check["port"] for check in checks if "port" in check) | _ports_let_in(persona),
        distributions=frozenset(drivers.distributions if drivers else ()),
        distribution=distribution.get("name") or "",
        distribution_must=distribution.get("intent") in ("require", "install"),
        vcpus=resources.get("vcpus"),
        memory_mib=resources.get("memory_mib"),
        root_disk_gib=resources.get("root_disk_gib"),
    )


def _ports_let_in(persona: Persona) -> frozenset[int]:
    groups = persona.network_profile.security_groups if persona.network_profile else []
    ports: set[int] = set()
    for rule in (rule for group in groups for rule in group["rules"]):
        first = rule.get("port_from")
        last = rule.get("port_to") or first
        if first is not None and last - first < WIDEST_RANGE:
            ports.update(range(first, last + 1))
    return frozenset(ports)
