"""All machines at once: what their software says in short, and which persona each suits by what is known today."""

import hashlib
from itertools import islice

import numpy as np
from django.db import connection, transaction

from analyzer.domain.facts import Facts, OperatingSystem
from analyzer.domain.learned_ranking import LEAST_CHANCE
from analyzer.domain.learner import Scorer
from analyzer.domain.recommend import distribution_fit
from analyzer.domain.software import Workload
from analyzer.models import Fingerprint, Recommendation, VirtualMachine
from analyzer.models.recommendation import RecommendationState
from analyzer.services.candidates import Candidates, candidates_of, candidates_stamp
from analyzer.services.learning import learned_at, recommender_of, scorer_of
from analyzer.services.recommendations import recommendation_make
from analyzer.services.scans import facts_understood
from personas.models import Department

CHUNK = 5000  # machines scored at once: 5,000 x 200 chances are 8 MB
SCORED_BY = ["evidence", "names", "system"]
SCORED = ["persona", "score", "no_fit", "scored_as"]
ANEW = 500  # suggestions written out in one run, reasons and all; the next run goes on


def fleet_rescore() -> dict[str, int]:
    """{"scored", "suggested"}: scores what was scanned, and all where learning or personas changed since; suggests anew
    where the answer is another and nobody has decided. Run again, it does nothing."""
    told = {"scored": 0, "suggested": 0}
    for department in (None, *Department.objects.order_by("slug")):
        told["scored"] += department_rescore(department=department)
    told["suggested"] = _suggest_anew()
    return told


def department_rescore(*, department: Department | None) -> int:
    """How many machines were scored."""
    candidates = candidates_of(department)
    scorer = scorer_of(department, candidates)
    if scorer is None:
        return 0  # learning is off: the rules speak at each scan
    scored_as = _scored_as(department)
    scored, last = 0, None
    while rows := _score_chunk(department, scored_as, last, scorer, candidates):
        scored, last = scored + len(rows), rows[-1].pk
    return scored


@transaction.atomic
def _score_chunk(
    department, scored_as: str, last, scorer: Scorer, candidates: Candidates
) -> list[Fingerprint]:
    """The next rows that were scored otherwise, held until they are written: a scan that ends meanwhile comes after."""
    rows = Fingerprint.objects.filter(vm__department=department).exclude(scored_as=scored_as).order_by("pk")
    rows = rows.filter(pk__gt=last) if last else rows
    found = list(rows.only(*SCORED_BY).select_for_update(of=("self",))[:CHUNK])
    if not found:
        return []
    _score(found, scorer, candidates)
    for each in found:
        each.scored_as = scored_as
    _write(found)
    return found


def _write(rows: list[Fingerprint]) -> None:
    """One statement for all, of these columns alone: bulk_update builds a CASE of 5,000, bulk_create sends the rest."""
    columns = [Fingerprint._meta.get_field(name) for name in (*SCORED, "vm")]
    sets = ", ".join(f"{connection.ops.quote_name(each.column)} = %s" for each in columns[:-1])
    table, key = map(connection.ops.quote_name, (Fingerprint._meta.db_table, columns[-1].column))
    values = [[c.get_db_prep_save(getattr(row, c.attname), connection) for c in columns] for row in rows]
    with connection.cursor() as cursor:
        cursor.executemany(f"UPDATE {table} SET {sets} WHERE {key} = %s", values)  # noqa: S608 - names of the model


def _score(rows: list[Fingerprint], scorer: Scorer, candidates: Candidates) -> None:
    found = [Workload(signs=(), evidence=each.evidence, names=each.names) for each in rows]
    chances = scorer.probabilities(found) * _factors(rows, candidates)
    chances /= chances.sum(axis=1, keepdims=True)
    best = chances[:, :-1].argmax(axis=1) if candidates else None
    for at, each in enumerate(rows):
        score = float(chances[at, best[at]]) if candidates else 0.0
        each.no_fit = round(float(chances[at, -1]), 3)
        fits = score >= LEAST_CHANCE and score > each.no_fit
        each.persona_id = candidates[best[at]].id if fits else None
        each.score = round(score, 3)


def _factors(rows: list[Fingerprint], candidates: Candidates) -> np.ndarray:
    """As the ranking of one machine: what a persona's distribution costs it on this one."""
    known: dict[str, np.ndarray] = {}
    for each in rows:
        if str(each.system) not in known:
            facts = Facts.model_construct(os=OperatingSystem.model_validate(each.system))
            known[str(each.system)] = np.array([*(distribution_fit(facts, c)[0] for c in candidates), 1.0])
    return np.stack([known[str(each.system)] for each in rows])


def _scored_as(department: Department | None) -> str:
    said = learned_at(recommender_of(department)), candidates_stamp(department)
    return hashlib.sha256(repr(said).encode()).hexdigest()


def _suggest_anew() -> int:
    """Where nobody has answered, and the answer of today differs from the one that stands open."""
    made = filter(_suggested_anew, _differing())
    return sum(1 for _ in islice(made, ANEW))


@transaction.atomic
def _suggested_anew(vm_id) -> bool:
    vm = VirtualMachine.objects.select_related("department").get(pk=vm_id)
    scan = vm.fingerprint.scan
    facts = facts_understood(scan)
    if facts:
        recommendation_make(scan=scan, facts=facts)
    return facts is not None


def _differing() -> list:
    open_ones = Recommendation.objects.filter(state=RecommendationState.ACTIVE).exclude(
        vm__fingerprint__scored_as=""
    )
    rows = open_ones.values_list("vm_id", "persona_id", "vm__fingerprint__persona_id").order_by("vm_id")
    return [vm for vm, said, now in rows.iterator() if said != now]
