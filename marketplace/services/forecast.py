"""Try before you buy: what a listing would do to a machine of one's own, without a value of it.

It is installed and planned for real, by the same code as later, in a transaction that is rolled back.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from django.db import transaction

from analyzer.domain.recommend import GOOD_FIT
from analyzer.models import Scan, VirtualMachine
from analyzer.services.recommendations import ranking_of
from analyzer.services.scans import facts_of
from marketplace.models import Release
from marketplace.services.contents import parts_made, persona_columns
from marketplace.services.installing import bundle_in
from marketplace.services.parameter_values import stand_ins
from marketplace.services.secret_bindings import bindings_of
from personas.domain.settings import LEAVES, InvalidSettings
from personas.errors import BadInput, Refused
from personas.models import Persona, Role
from personas.services.access import require
from personas.services.personas import persona_create
from personas.services.rows import free_slug
from personas.services.secrets import secret_create
from templates_app.models import MigrationTemplate

LATER = frozenset({"script.unapproved"})  # who installs it reads the script then
WELL = 0.6
PLANNERS: list[Callable[..., Any]] = []
"""The engine's `plan_make`, put here by what assembles the two (config/apps.py): they do not know each other."""


class Told(NamedTuple):
    """A concern without its words, which would name what it is about; of a map the setting, not the key."""

    severity: str
    category: str
    subject: str

    @classmethod
    def of(cls, concern: dict[str, Any]) -> "Told":
        subject = concern["subject"]
        leaf = next((leaf for leaf in LEAVES if subject.startswith(f"{leaf}.")), subject)
        return cls(concern["severity"], concern["category"], leaf)


class Forecast(NamedTuple):
    """`changes`: labels of what would differ from the machine as it is. `fit`: good, fair, weak, or unknown without a
    scan; `is_best`: it would be the first suggestion among what the department has."""

    vm: VirtualMachine
    launchable: bool
    concerns: list[Told]
    changes: list[str]
    fit: str
    is_best: bool


def forecast(*, release: Release, vm: VirtualMachine, template: MigrationTemplate, by) -> Forecast:
    """Raises NotAllowed, Refused (no plan can be made of it)."""
    if vm.department is None:
        raise BadInput({"vm": ["This machine belongs to no department; give it one first."]})
    require(by=by, department=vm.department, role=Role.ADMIN)
    with transaction.atomic():
        persona = _installed(release, vm.department, by)
        plan = _planned(template, vm, persona, by)
        fit, is_best = _fit(vm, persona)
        transaction.set_rollback(True)
    concerns = [each for each in plan.concerns if each["id"] not in LATER]
    return Forecast(
        vm=vm,
        launchable=all(each["severity"] != "Critical" for each in concerns),
        concerns=list(dict.fromkeys(Told.of(each) for each in concerns)),
        changes=[each["label"] for each in plan.document["changes"] if each["changes"]],
        fit=fit,
        is_best=is_best,
    )


def _installed(release: Release, department, by) -> Persona:
    bundle = bundle_in(release)
    parts = parts_made(bundle, department=department, by=by, author=release.published_by)
    secrets = bindings_of(bundle.secret_names, listing=release.listing, bound={})
    for name, slug in secrets.items():  # who installs it gives them then
        secret_create(by=by, department=department, slug=slug, name=name, value=slug)
    parameters = stand_ins(bundle.parameters_asked)
    return persona_create(
        by=by,
        department=department,
        name=bundle.persona.name,
        slug=free_slug(model=Persona, department=department, name=bundle.persona.slug),
        **persona_columns(bundle, parts, department=department, secrets=secrets, parameters=parameters),
    )


def _planned(template, vm, persona, by):
    (plan_make,) = PLANNERS
    try:
        return plan_make(template=template, vm=vm, personas=[persona], by=by)
    except (InvalidSettings, BadInput):  # its words would name the values
        raise Refused("With this template no plan can be made of it for this machine.") from None


def _fit(vm: VirtualMachine, persona: Persona) -> tuple[str, bool]:
    scan = Scan.objects.readable().filter(vm=vm).first()
    facts = facts_of(scan) if scan else None
    if facts is None:
        return "unknown", False
    ranking = ranking_of(vm=vm, facts=facts)
    score = next((each.score for each in ranking.ranked if each.persona == str(persona.pk)), 0.0)
    is_best = ranking.best is not None and ranking.best.persona == str(persona.pk)
    return ("good" if score >= WELL else "fair" if score >= GOOD_FIT else "weak"), is_best
