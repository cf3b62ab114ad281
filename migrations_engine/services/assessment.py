"""What a plan comes to on a given disk and target: kernel, machine, who enforces what, what changes, what may go wrong.

The same for the preview, for the launch, and once more in the run when the disk has been read.
"""

from dataclasses import asdict, dataclass
from typing import Any

from analyzer.domain.facts import Facts
from migrations_engine.domain import blueprint, disk_bus, kernels
from migrations_engine.domain.access import BY_AGENT, Access
from migrations_engine.domain.concerns import Concern, Outlook, Severity, concerns
from migrations_engine.domain.diff import changes
from migrations_engine.domain.machine import Concern as TargetConcern
from migrations_engine.domain.machine import Enforcement, MachineSpec, SpecError
from migrations_engine.domain.settings_path import leaf
from migrations_engine.domain.software import NOTHING, Software
from migrations_engine.targets.base import Target, TargetError
from templates_app.domain.drivers import drivers_brought
from templates_app.domain.layers import Layer, in_order


@dataclass(frozen=True)
class Assessment:
    kernel: kernels.KernelChoice
    spec: MachineSpec
    access: Access
    software: Software
    enforcement: tuple[Enforcement, ...]
    concerns: list[Concern]
    changes: list[dict[str, Any]]


def assess(*, document: dict[str, Any], facts: Facts | None, target: Target, key: str) -> Assessment:
    """`document`: a plan's (services/plan.py). Raises SpecError where the settings describe no machine."""
    settings = document["merged"]["merged"]
    kernel = choose_kernel(settings, facts, target)
    spec = machine_spec(document, facts, key)
    told = _ask(target, spec, facts, kernel.version, leaf(settings, "packages", []))
    disks = document["vm"]["disks"]
    found = concerns(
        Outlook(
            settings=settings,
            spec=spec,
            facts=facts,
            kernel=kernel,
            disks=tuple(disks),
            disk_bus=_disk_bus(document),
            made_for=_made_for(document),
            scripts=tuple(document["scripts"]),
            notices=tuple(document.get("notices", ())),  # plans of before have none
            unknown=tuple(tuple(pair) for pair in document["unknown"]),
            access=told.access,
            software=told.software,
            enforcement=told.enforcement,
            target=told.concerns,
            free_bytes=told.free_bytes,
            has_persona=bool(document["personas"]),
            refused=tuple(document["merged"]["refused"]),
            missing_since=document["vm"]["missing_since"],
            staging=document["vm"].get("staging"),
            cards=tuple(document["vm"].get("cards", ())),  # plans of before have none
            namesakes=tuple(document.get("namesakes", ())),  # plans of before have none
        )
    )
    rows = _changes(document, spec, facts, kernel, told)
    return Assessment(kernel, spec, told.access, told.software, told.enforcement, found, rows)


def choose_kernel(settings: dict[str, Any], facts: Facts | None, target: Target) -> kernels.KernelChoice:
    read = facts is not None and facts.covered("kernels").state != "none"
    default = facts.default_kernel if facts else None
    return kernels.choose(
        spec=leaf(settings, "kernel.version"),
        intent=leaf(settings, "kernel.intent"),
        installed=[kernel.version for kernel in facts.kernels] if read else None,
        current=default.version if default else None,
        can_install="kernel_install" in target.caps,
    )


def machine_spec(document: dict[str, Any], facts: Facts | None, key: str) -> MachineSpec:
    vm = document["vm"]
    return blueprint.machine_spec(
        document["merged"]["merged"],
        key=key,
        name=vm["name"],
        facts=facts,
        groups=[blueprint.security_group(group) for group in document["security_groups"]],
        vcpus=vm["vcpus"],
        memory_mib=vm["memory_mib"],
        disk_bus=_disk_bus(document).bus,
        data_disks=max(len(vm["disks"]) - 1, 0),
    )


def _disk_bus(document: dict[str, Any]) -> disk_bus.BusChoice:
    merged = document["merged"]
    labels = [layer.label for layer in _layers(document)]
    return disk_bus.choose(merged["merged"], origin=merged["origin"], layers=labels)


def _made_for(document: dict[str, Any]) -> dict[str, list[str]]:
    """Of the driver sets that bring something, once all layers have spoken."""
    told = document.get("made_for", {})  # plans of before have none
    standing = drivers_brought(_layers(document), document["driver_sets"])
    return {each.driver_set: told.get(each.driver_set, []) for each in standing}


def _layers(document: dict[str, Any]) -> list[Layer]:
    return in_order(Layer(**layer) for layer in document["layers"])


@dataclass(frozen=True)
class Told:
    """What the target says."""

    access: Access = BY_AGENT
    software: Software = NOTHING
    enforcement: tuple[Enforcement, ...] = ()
    concerns: tuple[TargetConcern, ...] = ()
    free_bytes: int | None = None


def _ask(target: Target, spec: MachineSpec, facts: Facts | None, kernel: str | None, packages) -> Told:
    """A target that does not answer is a concern, no error. Asked of the guest as it will be, with an agent that is
    brought and the packages that are added."""
    try:
        free_bytes = target.probe().free_bytes
    except (TargetError, OSError) as error:
        return _unasked("unavailable", f"The target does not answer: {error}")
    if facts is None:
        return Told(free_bytes=free_bytes)
    try:
        access = target.access(facts)
        software = target.software(facts, packages, access)
        then = _then(facts, access, software)
        enforcement = tuple(target.enforcement(spec, then))
        return Told(access, software, enforcement, tuple(target.check(spec, then, kernel)), free_bytes)
    except (TargetError, OSError) as error:  # it answers, but nothing of this machine
        return _unasked("unanswered", f"The target can't tell of this machine: {error}")


def _unasked(subject: str, text: str) -> Told:
    return Told(concerns=(TargetConcern("critical", subject, text),))


def _then(facts: Facts, access: Access, software: Software) -> Facts:
    changed = {
        "has_guest_agent": access.way != "none",
        "has_nft": facts.has_nft or "nftables" in software.added_names,
        "has_tc": facts.has_tc or "iproute2" in software.added_names,
    }
    return facts.model_copy(update=changed)


def _changes(document, spec, facts, kernel, told: Told) -> list[dict[str, Any]]:
    vm = document["vm"]
    if not vm["disks"]:
        return []
    return changes(
        settings=document["merged"]["merged"],
        spec=spec,
        facts=facts,
        kernel=kernel,
        access=told.access,
        software=told.software,
        disks=vm["disks"],
        vcpus=vm["vcpus"],
        memory_mib=vm["memory_mib"],
    )


def spec_concern(error: SpecError) -> Concern:
    return Concern(
        "settings.impossible", "Settings", Severity.CRITICAL, f"No machine can be made of these settings: {error}.",
        "Change the setting that is named, in the template, the persona or the overrides.",
    )  # fmt: skip


def as_json(assessment: Assessment) -> dict[str, Any]:
    """The assessment as it is stored with a plan."""
    return {
        "kernel": asdict(assessment.kernel),
        "machine": spec_as_json(assessment.spec),
        "access": asdict(assessment.access) | {"packages": list(assessment.access.packages)},
        "software": assessment.software.as_dict(),
        "enforcement": [asdict(row) for row in assessment.enforcement],
        "concerns": [concern.as_dict() for concern in assessment.concerns],
        "changes": assessment.changes,
    }


def spec_as_json(spec: MachineSpec) -> dict[str, Any]:
    told = {name: getattr(spec, name) for name in SPEC_FIELDS}
    return told | {
        "devices": list(spec.devices),
        "tags": dict(spec.tags),
        "security_groups": [
            asdict(group) | {"rules": [asdict(r) for r in group.rules]} for group in spec.security_groups
        ],
        "forwards": [asdict(forward) for forward in spec.forwards],
    }


SPEC_FIELDS = (
    "name", "vcpus", "memory_mib", "machine", "firmware", "disk_bus", "data_disks", "nic_model", "bandwidth_mbps",
)  # fmt: skip


def access_from(document: dict[str, Any]) -> Access:
    """The inverse of `as_json`, for how the guest is talked to; a run of before has a guest with an agent."""
    stored = document.get("access")
    return Access(**stored | {"packages": tuple(stored["packages"])}) if stored else BY_AGENT


def enforcement_from(document: dict[str, Any]) -> list[Enforcement]:
    """The inverse of `as_json`, for who enforces what."""
    return [Enforcement(**row) for row in document["enforcement"]]
