"""What people answer teaches the recommender of their department, in the transaction of the answer."""

from datetime import datetime
from functools import lru_cache

from django.db import transaction

from analyzer.domain.facts import Facts
from analyzer.domain.learned_ranking import profile_of
from analyzer.domain.learner import NONE, Model, Profile, Scorer, learned, learned_later
from analyzer.domain.outcomes import Lesson
from analyzer.domain.software import workload
from analyzer.models import Recommender
from analyzer.models.learning import SHARED
from analyzer.services.candidates import KEPT, Candidates
from personas.errors import Refused
from personas.models import Department, Role
from personas.services.access import require
from personas.services.audit import record

ORGANISATION = "organisation"
SWITCHES = ("enabled", "shares", "shadow")
ENOUGH = 20  # answers before a gain is more than luck


def recommender_of(department: Department | None) -> Recommender:
    """The row, unsaved where nobody has answered or decided anything; what it has learned is read when asked for."""
    scope = str(department.pk) if department else ORGANISATION
    known = Recommender.objects.filter(scope=scope).defer("state", "previous").first()
    return known or Recommender(scope=scope, department=department)


def scorer_of(department: Department | None, candidates: Candidates) -> Scorer | None:
    """None where the fixed rules speak: learning is switched off, or still in the shadow."""
    recommender = recommender_of(department)
    if not recommender.enabled or recommender.shadow:
        return None
    return _scorer(recommender.scope, learned_at(recommender), candidates)


def learned_at(recommender: Recommender) -> tuple[datetime | None, datetime | None]:
    """Another one after each lesson, of its own and of those that share with it."""
    shared = Recommender.objects.filter(scope=SHARED) if recommender.shares else Recommender.objects.none()
    return recommender.updated_at, shared.values_list("updated_at", flat=True).first()


@lru_cache(maxsize=KEPT)
def _scorer(scope: str, learned_at: tuple, candidates: Candidates) -> Scorer:
    """Made anew after a lesson or a change of personas: its memory of 2,000 answers is a megabyte of JSON."""
    recommender = Recommender.objects.filter(scope=scope).first() or Recommender(scope=scope)
    shared = _shared() if recommender.shares else None
    return Scorer(model_of(recommender), profiles_of(candidates), shared)


def profiles_of(candidates: Candidates) -> list[Profile]:
    return [profile_of(each) for each in candidates]


def card_of(recommender: Recommender) -> dict:
    """Its switches, and what to know of the model before trusting it."""
    switches = {name: getattr(recommender, name) for name in SWITCHES}
    card = model_of(recommender).card
    return {**switches, "may_revert": bool(recommender.previous), "trial": recommender.trial, **card}


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
    candidates: Candidates,
    label: str,
    wrong: bool = False,
    shown: str = NONE,
) -> None:
    """`label`: the persona's id, or learner.NONE; with `wrong` the one that it is not; `shown`: what was suggested.
    In force when this returns."""
    recommender = _locked(recommender_of(department))
    if not recommender.enabled:
        return
    found, profiles = workload(facts), profiles_of(candidates)
    shared = _shared() if recommender.shares else None
    model = learned(model_of(recommender), profiles, found, label=label, wrong=wrong, shared=shared)
    recommender.state = model.as_json()
    if recommender.shadow and not wrong and label in (NONE, *(each.id for each in profiles)):
        recommender.trial = _tried(
            recommender.trial, learned_right=model.said[-1][1], shown_right=shown == label
        )
    recommender.save(update_fields=["state", "trial", "updated_at"])
    if recommender.shares:
        together = _locked(Recommender.objects.filter(scope=SHARED).first() or Recommender(scope=SHARED))
        together.state = learned(model_of(together), profiles, found, label=label, wrong=wrong).as_json()
        together.save(update_fields=["state", "updated_at"])


@transaction.atomic
def outcome_learn(
    *,
    department: Department | None,
    facts: Facts,
    candidates: Candidates,
    label: str,
    source: str,
    lesson: Lesson | None,
) -> None:
    """What became of the persona `label`, days after the answer; it says nothing for or against a shadow's trial."""
    recommender = _locked(recommender_of(department))
    if not recommender.enabled:
        return
    told = {"label": label, "source": source, "lesson": lesson}
    found, profiles = workload(facts), profiles_of(candidates)
    shared = _shared() if recommender.shares else None
    model = learned_later(model_of(recommender), profiles, found, shared=shared, **told)
    recommender.state = model.as_json()
    recommender.save(update_fields=["state", "updated_at"])
    if recommender.shares:
        together = _locked(Recommender.objects.filter(scope=SHARED).first() or Recommender(scope=SHARED))
        together.state = learned_later(model_of(together), profiles, found, **told).as_json()
        together.save(update_fields=["state", "updated_at"])


def _tried(trial: dict, *, learned_right: bool, shown_right: bool) -> dict:
    return {
        "answers": trial.get("answers", 0) + 1,
        "learned_right": trial.get("learned_right", 0) + learned_right,
        "shown_right": trial.get("shown_right", 0) + shown_right,
    }


def _locked(recommender: Recommender) -> Recommender:
    """The saved row, held until the transaction ends: two answers at once are learned one after the other."""
    defaults = {"department": recommender.department}
    Recommender.objects.get_or_create(scope=recommender.scope, defaults=defaults)
    return Recommender.objects.select_for_update().get(scope=recommender.scope)


@transaction.atomic
def recommender_set(*, department: Department | None, by, **switches: bool | None) -> Recommender:
    """`switches`: enabled, shares, shadow; None leaves it. What was learned is kept; a shadow begins a new trial."""
    require(by=by, department=department, role=Role.ADMIN)
    row = _locked(recommender_of(department))
    asked = {name: on for name, on in switches.items() if on is not None and getattr(row, name) != on}
    before = {name: getattr(row, name) for name in asked}
    for name, on in asked.items():
        setattr(row, name, on)
    if asked.get("shadow"):
        row.trial = {}
    row.save(update_fields=[*SWITCHES, "trial", "updated_at"])
    record(by=by, action="recommender.set", obj=row, before=before, after=asked)
    return row


@transaction.atomic
def recommender_promote(*, department: Department | None, by) -> Recommender:
    """Out of the shadow, because its silent answers were right more often than what was shown."""
    require(by=by, department=department, role=Role.ADMIN)
    row = _locked(recommender_of(department))
    if not row.shadow:
        raise Refused("It is not in the shadow.")
    answers, ours, shown = (row.trial.get(name, 0) for name in ("answers", "learned_right", "shown_right"))
    if answers < ENOUGH:
        raise Refused(f"{answers} of the {ENOUGH} answers that tell enough have been given.")
    if ours <= shown:
        raise Refused(
            f"It was right {ours} times of {answers}, what was shown {shown} times: there is no gain yet."
        )
    return recommender_set(department=department, by=by, shadow=False)


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
