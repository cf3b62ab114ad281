"""What people answer teaches the recommender of their department, in the transaction of the answer."""

from collections.abc import Sequence

from django.db import transaction

from analyzer.domain.facts import Facts
from analyzer.domain.learner import Model, Profile, Scorer, learned
from analyzer.domain.software import workload
from analyzer.models import Recommender
from analyzer.models.learning import SHARED
from personas.errors import Refused
from personas.models import Department, Role
from personas.services.access import require
from personas.services.audit import record

ORGANISATION = "organisation"


def recommender_of(department: Department | None) -> Recommender:
    """The row, unsaved where nobody has answered or decided anything yet."""
    scope = str(department.pk) if department else ORGANISATION
    return Recommender.objects.filter(scope=scope).first() or Recommender(scope=scope, department=department)


def scorer_of(department: Department | None, profiles: Sequence[Profile]) -> Scorer | None:
    """None where learning is switched off."""
    recommender = recommender_of(department)
    if not recommender.enabled:
        return None
    return Scorer(model_of(recommender), profiles, _shared() if recommender.shares else None)


def model_of(recommender: Recommender) -> Model:
    return Model.from_json(recommender.state)


def _shared() -> Model:
    row = Recommender.objects.filter(scope=SHARED).first()
    return model_of(row) if row else Model()


@transaction.atomic
def answer_learn(
    *,
    department: Department | None,
    facts: Facts,
    profiles: Sequence[Profile],
    label: str,
    wrong: bool = False,
) -> None:
    """`label`: the persona's id, or learner.NONE; with `wrong` the one that it is not. In force when this returns."""
    recommender = _locked(recommender_of(department))
    if not recommender.enabled:
        return
    found = workload(facts)
    shared = _shared() if recommender.shares else None
    model = learned(model_of(recommender), profiles, found, label=label, wrong=wrong, shared=shared)
    recommender.state = model.as_json()
    recommender.save(update_fields=["state", "updated_at"])
    if recommender.shares:
        together = _locked(Recommender.objects.filter(scope=SHARED).first() or Recommender(scope=SHARED))
        together.state = learned(model_of(together), profiles, found, label=label, wrong=wrong).as_json()
        together.save(update_fields=["state", "updated_at"])


def _locked(recommender: Recommender) -> Recommender:
    """The saved row, held until the transaction ends: two answers at once are learned one after the other."""
    defaults = {"department": recommender.department}
    Recommender.objects.get_or_create(scope=recommender.scope, defaults=defaults)
    return Recommender.objects.select_for_update().get(scope=recommender.scope)


@transaction.atomic
def recommender_set(
    *, department: Department | None, by, enabled: bool | None = None, shares: bool | None = None
) -> Recommender:
    """Switches learning on or off, or sharing it. What was learned is kept."""
    require(by=by, department=department, role=Role.ADMIN)
    row = _locked(recommender_of(department))
    before = {"enabled": row.enabled, "shares": row.shares}
    row.enabled = row.enabled if enabled is None else enabled
    row.shares = row.shares if shares is None else shares
    row.save(update_fields=["enabled", "shares", "updated_at"])
    after = {"enabled": row.enabled, "shares": row.shares}
    record(by=by, action="recommender.set", obj=row, before=before, after=after)
    return row


@transaction.atomic
def recommender_reset(*, department: Department | None, by) -> Recommender:
    """As on the first day. What was known is kept aside, once, for recommender_revert."""
    require(by=by, department=department, role=Role.ADMIN)
    row = _locked(recommender_of(department))
    before = model_of(row).card
    row.previous, row.state = row.state, {}
    row.save(update_fields=["state", "previous", "updated_at"])
    record(by=by, action="recommender.reset", obj=row, before=before)
    return row


@transaction.atomic
def recommender_revert(*, department: Department | None, by) -> Recommender:
    """Back to what was known before the last reset."""
    require(by=by, department=department, role=Role.ADMIN)
    row = _locked(recommender_of(department))
    if not row.previous:
        raise Refused("There is nothing to go back to.")
    row.previous, row.state = row.state, row.previous
    row.save(update_fields=["state", "previous", "updated_at"])
    record(by=by, action="recommender.revert", obj=row, after=model_of(row).card)
    return row
