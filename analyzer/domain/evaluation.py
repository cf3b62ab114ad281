"""How good suggestions were, against what people know to be right."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

BINS = 15


@dataclass(frozen=True)
class Judged:
    """One machine. `right`: labels that are right, empty when none fits, two where it has two roles at once.
    `ranked`: labels, best first; `answer`: the label suggested, "" for "no good fit", and its `confidence`."""

    label: str
    right: frozenset[str]
    ranked: tuple[str, ...]
    answer: str
    confidence: float
    no_fit: float


def judge(all_of: Sequence[Judged]) -> dict:
    """Shares 0..1; None where there was nothing to measure it on."""
    known = [each for each in all_of if each.right]
    return {
        "machines": len(all_of),
        "none_fits": len(all_of) - len(known),
        "top1": _share([_among(each, 1) for each in known]),
        "top3": _share([_among(each, 3) for each in known]),
        "no_good_fit_auroc": auroc([each.no_fit for each in all_of], [not each.right for each in all_of]),
        "no_good_fit_f1": f1([not each.answer for each in all_of], [not each.right for each in all_of]),
        "ece": ece([each.confidence for each in all_of], [_is_right(each) for each in all_of]),
        "answers_right": _share([_is_right(each) for each in all_of]),
        "pairs_exact": _share([set(each.ranked[:2]) == each.right for each in known if len(each.right) == 2]),
        "recall": {
            label: _share([_among(each, 1) for each in known if each.label == label])
            for label in sorted({each.label for each in known})
        },
    }


def _among(each: Judged, first: int) -> bool:
    return not each.right.isdisjoint(each.ranked[:first])


def _is_right(each: Judged) -> bool:
    return each.answer in each.right if each.right else not each.answer


def _share(hits: Sequence[bool]) -> float | None:
    return round(sum(hits) / len(hits), 4) if hits else None


def auroc(scores: Sequence[float], positive: Sequence[bool]) -> float | None:
    """The chance that a positive one scores above a negative one, ties counting half (Mann-Whitney)."""
    values, truth = np.asarray(scores, dtype=float), np.asarray(positive, dtype=bool)
    if truth.all() or not truth.any():
        return None
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(count) - (count - 1) / 2)[place]
    wins = ranks[truth].sum() - truth.sum() * (truth.sum() + 1) / 2
    return round(float(wins / (truth.sum() * (~truth).sum())), 4)


def f1(said: Sequence[bool], truth: Sequence[bool]) -> float | None:
    both = sum(a and b for a, b in zip(said, truth, strict=True))
    either = sum(said) + sum(truth)
    return round(2 * both / either, 4) if either else None


def ece(confidences: Sequence[float], right: Sequence[bool], bins: int = BINS) -> float | None:
    """Expected calibration error (Naeini et al. 2015): mean gap of confidence and share right, bins of equal width."""
    if not len(confidences):
        return None
    sure, hit = np.asarray(confidences, dtype=float), np.asarray(right, dtype=float)
    place = np.minimum((sure * bins).astype(int), bins - 1)
    gaps = [abs((sure[place == each] - hit[place == each]).sum()) for each in range(bins)]
    return round(float(sum(gaps) / len(sure)), 4)
