"""The ranking by what was learned: the learner's chances, with the reasons of the rules and of the software.

The score of a persona is its calibrated chance; after the first comes who explains the rest (second_role). Three signs
at most speak for it in the words of the trades, beside what the rules found; against the first one speaks a runner-up
that is near, and the smallest change that would make it another.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from analyzer.domain.facts import Facts
from analyzer.domain.learner import NAME, NONE, TRADE_AT, Profile, Scorer, profile
from analyzer.domain.recommend import Candidate, Ranked, Ranking, distribution_fit
from analyzer.domain.second_role import in_order
from analyzer.domain.software import Sign, Workload, without
from analyzer.knowledge.trades import trades

LEAST_CHANCE = 0.3  # below, even the likeliest is a guess: "no good fit" is the honest answer
REASONS = 3
MOST_REMOVED = 3  # a change of more programs than that is another machine, not a change


def profile_of(candidate: Candidate) -> Profile:
    return profile(
        id=candidate.id,
        name=candidate.name,
        description=candidate.description,
        hints=(*candidate.hints, *candidate.packages),
    )


def learned_ranking(
    rules: Ranking, facts: Facts, found: Workload, candidates: Sequence[Candidate], scorer: Scorer
) -> Ranking:
    """`rules` with the learner's scores and order. `found`: what the facts say; `scorer` was made of the profiles of
    these candidates."""
    factors = np.array([*(distribution_fit(facts, each)[0] for each in candidates), 1.0])
    chances = _chances(scorer, found, factors)
    by_id = dict(zip(scorer.ids, chances, strict=True))
    place = {scorer.ids[at]: place for place, at in enumerate(in_order(scorer, found, chances))}
    ranked = [_with_reasons(each, by_id[each.persona], found, scorer) for each in rules.ranked]
    ranked.sort(key=lambda each: place[each.persona])
    if ranked:
        ranked[0] = _with_doubts(ranked, found, scorer, factors)
    no_fit = round(float(chances[-1]), 3)
    reason = _why_none(rules, ranked, no_fit, found)
    return Ranking(tuple(ranked), reason, f"{NAME}.{scorer.model.version}", no_fit)


def _chances(scorer: Scorer, found: Workload, factors: np.ndarray) -> np.ndarray:
    weighed = scorer.probabilities([found])[0] * factors
    return weighed / weighed.sum()


def _with_reasons(ranked: Ranked, chance: float, found: Workload, scorer: Scorer) -> Ranked:
    said = " ".join(ranked.speaks_for)
    more = [
        _sentence(sign, trade)
        for sign, trade, weight in _speaking_for(ranked.persona, found, scorer)
        if weight > 0.2 and sign.name not in said
    ]
    speaks_for = (*more[:REASONS], *ranked.speaks_for)
    return replace(ranked, score=round(float(chance), 3), speaks_for=speaks_for)


def _speaking_for(persona: str, found: Workload, scorer: Scorer) -> list[tuple[Sign, str, float]]:
    """(sign, the trade by which it speaks, how loud), the loudest first."""
    weights = scorer.weights[scorer.at[persona]]
    loud = []
    for sign in found.signs:
        each = {trade: weight * weights[TRADE_AT[trade]] for trade, weight in sign.trades.items()}
        trade = max(each, key=each.__getitem__)
        loud.append((sign, trade, each[trade] / 5))
    return sorted(loud, key=lambda row: (-row[2], row[0].name))


def _sentence(sign: Sign, trade: str) -> str:
    return f"{sign.name} ({trades()[trade].title}): {sign.told}."


def _with_doubts(ranked: list[Ranked], found: Workload, scorer: Scorer, factors: np.ndarray) -> Ranked:
    first = ranked[0]
    told = [f"{each.name} fits too ({each.score:.0%})." for each in ranked[1:2] if each.score >= 0.05]
    removed = smallest_change(first.persona, found, scorer, factors)
    if removed:
        gone, turned = removed
        name = next((each.name for each in ranked if each.persona == turned), "no good fit")
        told.append(f"It would be {name} without {' and '.join(gone)}.")
    return replace(first, speaks_against=(*first.speaks_against, *told))


def smallest_change(
    persona: str, found: Workload, scorer: Scorer, factors: np.ndarray
) -> tuple[tuple[str, ...], str] | None:
    """(what would have to go, which persona or NONE is the answer then): the loudest signs, without those that need
    not go. None when it takes too much, or when the persona is not the answer as it is."""

    def answer(gone: Sequence[str]) -> str:
        return _answer(scorer, _chances(scorer, without(found, gone), factors))

    if answer(()) != persona:
        return None
    gone: list[str] = []
    for sign, _, weight in _speaking_for(persona, found, scorer)[:MOST_REMOVED]:
        if weight <= 0:
            return None
        gone.append(sign.name)
        if (turned := answer(gone)) != persona:
            return _needed(gone, turned, persona, answer)
    return None


def _needed(
    gone: list[str], turned: str, persona: str, answer: Callable[[Sequence[str]], str]
) -> tuple[tuple[str, ...], str]:
    """The last one turned it; each before it may stay where it turns all the same."""
    for name in gone[:-1]:
        fewer = [each for each in gone if each != name]
        if (instead := answer(fewer)) != persona:
            gone, turned = fewer, instead
    return tuple(gone), turned


def _answer(scorer: Scorer, chances: np.ndarray) -> str:
    best = int(chances[:-1].argmax())
    fits = chances[best] >= LEAST_CHANCE and chances[best] > chances[-1]
    return scorer.ids[best] if fits else NONE


def _why_none(rules: Ranking, ranked: Sequence[Ranked], no_fit: float, found: Workload) -> str:
    if not ranked or (ranked[0].score >= LEAST_CHANCE and ranked[0].score > no_fit):
        return "" if ranked else rules.reason
    if rules.reason:
        return rules.reason
    strongest = sorted(found.evidence, key=lambda trade: (-found.evidence[trade], trade))[:2]
    titles = " and ".join(trades()[trade].title for trade in strongest)
    return (
        f"This machine looks like {titles}, which no persona is for."
        if titles
        else "Nothing here tells a purpose."
    )
