"""Suggestions: made from a scan, answered by people. Each answer is kept, and teaches the recommender at once."""

from django.db import transaction

from analyzer.domain.facts import Facts
from analyzer.domain.learned_ranking import learned_ranking
from analyzer.domain.learner import NONE
from analyzer.domain.recommend import Ranking, recommend
from analyzer.domain.software import Workload, workload
from analyzer.domain.suggestion_coverage import suggestion_coverage
from analyzer.models import Feedback, Recommendation, Scan, VirtualMachine
from analyzer.models.recommendation import RecommendationState, Verdict
from analyzer.services.candidates import candidates_of
from analyzer.services.fingerprints import fingerprint_store
from analyzer.services.learning import answer_learn, scorer_of
from analyzer.services.machines import size_of
from analyzer.services.name_mapping import named_facts
from analyzer.services.usage import usage_summary
from analyzer.services.vm_personas import vm_persona_assign
from personas.errors import BadInput, Refused
from personas.models import Persona, Role
from personas.services.access import require
from personas.services.audit import record


def ranking_of(*, vm: VirtualMachine, facts: Facts) -> Ranking:
    """Every persona that this machine's department can use, best first. Writes nothing."""
    facts = named_facts(facts, vm.department)
    return _ranked(vm, facts, workload(facts))


@transaction.atomic
def scan_score(*, scan: Scan, facts: Facts) -> Ranking:
    """The same for a new scan; what the fleet needs to score the machine again is kept."""
    facts = named_facts(facts, scan.vm.department)
    found = workload(facts)
    ranking = _ranked(scan.vm, facts, found)
    fingerprint_store(scan=scan, system=facts.os, found=found, ranking=ranking)
    return ranking


def _ranked(vm: VirtualMachine, facts: Facts, found: Workload) -> Ranking:
    """`facts` in the words of the machine's department, `found` what they say."""
    candidates = candidates_of(vm.department)
    rules = recommend(facts, candidates, size=size_of(vm), usage=usage_summary(vm))
    scorer = scorer_of(vm.department, candidates)
    return learned_ranking(rules, facts, found, candidates, scorer) if scorer else rules


@transaction.atomic
def recommendation_make(*, scan: Scan, facts: Facts) -> Recommendation:
    """The answer to a scan. It asks people again only when it differs from what they have answered already."""
    ranking = scan_score(scan=scan, facts=facts)
    newest = Recommendation.objects.filter(vm=scan.vm).first()
    if newest and newest.state != RecommendationState.ACTIVE and _same(newest, ranking):
        return newest
    return _replace(scan, facts, ranking)


@transaction.atomic
def recommendation_refresh(*, scan: Scan, facts: Facts, by) -> Recommendation:
    """Asks again on purpose, e.g. after the personas have changed."""
    require(by=by, department=scan.vm.department, role=Role.OPERATOR)
    made = _replace(scan, facts, ranking_of(vm=scan.vm, facts=facts))
    record(by=by, action="recommendation.refresh", obj=scan.vm, after={"recommendation": str(made.pk)})
    return made


def _same(newest: Recommendation, ranking: Ranking) -> bool:
    best = ranking.best.persona if ranking.best else None
    kind = newest.model_version.partition(".")[
        0
    ]  # what it has learned since is no reason to ask again, its answer is
    return kind == ranking.model_version.partition(".")[0] and best == (
        newest.persona_id and str(newest.persona_id)
    )


def _replace(scan: Scan, facts: Facts, ranking: Ranking) -> Recommendation:
    VirtualMachine.objects.select_for_update().get(pk=scan.vm_id)  # one open question per machine
    Recommendation.objects.filter(vm=scan.vm, state=RecommendationState.ACTIVE).delete()  # never answered
    stars, missing = suggestion_coverage(facts, measured=scan.vm.usage.exists())
    return Recommendation.objects.create(
        vm=scan.vm,
        coverage_stars=stars,
        coverage_missing=missing,
        scan=scan,
        persona_id=ranking.best.persona if ranking.best else None,
        score=ranking.ranked[0].score if ranking.ranked else 0,
        ranking=[each.as_json() for each in ranking.ranked],
        reason=ranking.reason,
        no_fit=ranking.no_fit,
        model_version=ranking.model_version,
    )


@transaction.atomic
def recommendation_accept(*, recommendation: Recommendation, by, use_case: str = "default") -> Recommendation:
    """The machine carries the suggested persona from now on."""
    if recommendation.persona is None:
        raise Refused("No persona was suggested: choose one, or create one from this machine.")
    _answer(recommendation, Verdict.ACCEPTED, RecommendationState.CLAIMED, by, persona=recommendation.persona)
    vm_persona_assign(vm=recommendation.vm, persona=recommendation.persona, by=by, use_case=use_case)
    return recommendation


@transaction.atomic
def recommendation_choose_other(
    *, recommendation: Recommendation, persona: Persona, by, reason: str = "", use_case: str = "default"
) -> Recommendation:
    if persona.pk == recommendation.persona_id:
        raise BadInput({"persona": ["This is the suggested one: accept it."]})
    _answer(recommendation, Verdict.OTHER, RecommendationState.DISMISSED, by, persona=persona, reason=reason)
    vm_persona_assign(vm=recommendation.vm, persona=persona, by=by, use_case=use_case)
    return recommendation


@transaction.atomic
def recommendation_dismiss(*, recommendation: Recommendation, by, reason: str = "") -> Recommendation:
    """Not this one. Where "no good fit" was the answer, it teaches nothing: see recommendation_none_fits."""
    _answer(recommendation, Verdict.DISMISSED, RecommendationState.DISMISSED, by, reason=reason)
    return recommendation


@transaction.atomic
def recommendation_none_fits(*, recommendation: Recommendation, by, reason: str = "") -> Recommendation:
    """A person says that no persona is for this machine."""
    _answer(recommendation, Verdict.NONE_FITS, RecommendationState.DISMISSED, by, reason=reason)
    return recommendation


def _answer(recommendation: Recommendation, verdict, state, by, *, persona=None, reason: str = "") -> None:
    vm = recommendation.vm
    require(by=by, department=vm.department, role=Role.OPERATOR)
    open_row = Recommendation.objects.filter(pk=recommendation.pk, state=RecommendationState.ACTIVE)
    if not open_row.update(state=state):  # of two answers at once, the first counts
        raise Refused("This suggestion has been answered already.")
    recommendation.refresh_from_db()
    feedback = Feedback(
        vm=vm, recommendation=recommendation, verdict=verdict, persona=persona, reason=reason, by=by
    )
    feedback.full_clean()
    feedback.save()
    after = {"verdict": verdict, "persona": persona and str(persona.pk), "reason": reason}
    record(by=by, action="recommendation.answer", obj=vm, after=after)
    _learn(recommendation, verdict, persona)


def _learn(recommendation: Recommendation, verdict, persona: Persona | None) -> None:
    """In the transaction of the answer: what is answered is learned, or neither."""
    vm, refused = recommendation.vm, recommendation.persona_id
    if not recommendation.scan.facts or (verdict == Verdict.DISMISSED and not refused):
        return
    meant = refused if verdict == Verdict.DISMISSED else persona and persona.pk
    label = str(meant) if meant else NONE
    facts = named_facts(Facts.model_validate(recommendation.scan.facts), vm.department)
    wrong = verdict == Verdict.DISMISSED
    shown = str(refused) if refused else NONE
    candidates = candidates_of(vm.department)
    answer_learn(
        department=vm.department, facts=facts, candidates=candidates, label=label, wrong=wrong, shown=shown
    )
