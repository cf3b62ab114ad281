"""Which persona a machine suits, as probabilities: from a persona's own words on the first day, then from answers.

A softmax over the personas and "none of them". A machine is its evidence per trade (analyzer.domain.software), the
names that a persona's hints meet, and hashed names, so that software which only this company knows can be learned.
"None of them" is the personas that nobody has written yet, one for each trade that no persona is about: a machine is
as foreign as it would suit one of them, and a little of many foreign trades is noise, not a foreign purpose.
Before any answer the weights are what the personas' names, descriptions and hints say (`affinity`). Answers move
the weights away from there by as much as they agree: maximum a posteriori with a Gaussian prior around that first
day (and around what other departments have learned, where that is shared), by a few warm steps per answer over a
bounded memory. A likelihood with a share of blunders (ERRORS) keeps wrong answers from pulling. Confidence is
calibrated on what the model had said before it was told (prequential, Platt 1999), with the same share of blunders:
it is the chance to be right, not to be answered.

Pure and deterministic. The state is plain JSON: version, one row of moves per persona, memory, calibration.
"""

import math
import re
import zlib
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np

from analyzer.domain.outcomes import Lesson
from analyzer.domain.software import Workload, head, meaning
from analyzer.knowledge.trades import trades

NAME = "learner-1"
NONE = ""  # the id of "none of them"
SHARPNESS = 6.0  # logits per unit of evidence; 5 and 6.5 gave the same ranks and calibration on 404 machines
MENTIONED = 2
NONE_AT_FIRST = 0.4  # of log(personas + 1): how much a machine that says nothing fits none
HINTED = 1.0  # logits per unit of hinted software that is here
STIFFNESS, LOOSE = 5.0, 0.5  # of the prior; loose for a persona whose words say nothing
ERRORS = 0.05  # share of answers that are blunders
LEAST_TRUST = 0.2  # of an answer that looks like a blunder; many alike still win
BUCKETS = 128
MEMORY = 2000
STEPS, STRIDE = 12, 0.06
CALIBRATED_ON = 400
HALF_LIFE = (
    80  # answers after which what was said then counts half: the model of today is not the one that said it
)
FIRST_DAY = (
    0.75,
    0.55,
)  # slope and shift before any answer: between what Debian's own and others' machines came to
GENERIC_WORDS = frozenset(
    """server servers service services host hosts machine machines system systems team admin admins and or of the for
    with a an in on to by from general internal company department standard default management application
    applications apps other like such tools tool software package packages""".split()
)
NEGATED = re.compile(r"(?i)\b(?:nothing|no|not|never|without)\b[^.,;:]*")  # "serves nothing to the network"
TRADES = tuple(trades())
TRADE_AT = {trade: index for index, trade in enumerate(TRADES)}
WIDTH = len(TRADES) + BUCKETS + 1


@dataclass(frozen=True)
class Profile:
    """A persona as the learner knows it. `affinity`: trade → 0..1; `hints`: heads of the software it names."""

    id: str
    affinity: Mapping[str, float]
    hints: frozenset[str] = frozenset()


def profile(*, id: str, name: str, description: str = "", hints: Sequence[str] = ()) -> Profile:
    """From a persona's own words."""
    return Profile(id, affinity(f"{name} {description}", tuple(hints)), frozenset(map(head, hints)))


@lru_cache(maxsize=10_000)
def affinity(text: str, hints: tuple[str, ...] = ()) -> Mapping[str, float]:
    """Trade → 0..1, the strongest 1; empty where the words say nothing."""
    found: dict[str, float] = {}
    text = NEGATED.sub("", text)
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text)  # WebDev, DataScientist
    whole = {word.strip(".,;:()") for word in text.lower().split()}
    words = whole | set(re.findall(r"[a-z0-9+]+", spaced.lower()))
    for trade in trades().values():
        for word in words - GENERIC_WORDS:
            share = _says(trade.says, word)
            if share:
                found[trade.name] = found.get(trade.name, 0) + share
    for word in words - GENERIC_WORDS:
        _add(found, word, 0.5)
    for hint in dict.fromkeys(map(head, hints)):
        _add(found, hint, 0.7)
    most = max(found.values(), default=0)
    return {trade: round((v / most) ** 0.7, 4) for trade, v in sorted(found.items()) if v >= 0.25 * most}


def _says(says: Mapping[str, float], word: str) -> float:
    return says.get(word) or says.get(word.removesuffix("s")) or says.get(word + "s") or 0.0


def _add(found: dict[str, float], name: str, share: float) -> None:
    means, own = meaning(name)
    for trade, weight in means if own else ():
        found[trade] = found.get(trade, 0) + share * weight


@dataclass(frozen=True)
class Example:
    """One answer. `label`: the persona, NONE for "none of them"; `wrong`: label is what it is not. What became of it
    later has less `weight`, and a `source`: what the same one says next takes its place."""

    row: tuple[tuple[int, float], ...]
    hints: tuple[str, ...]  # the personas whose hints were met are found again by these names
    label: str
    wrong: bool = False
    weight: float = 1.0
    source: str = ""

    def as_json(self) -> list:
        told = [list(map(list, self.row)), list(self.hints), self.label, self.wrong]
        return [*told, self.weight, self.source] if self.source else told

    @classmethod
    def from_json(cls, told: Sequence) -> "Example":
        row, hints, *rest = told
        return cls(tuple((at, by) for at, by in row), tuple(hints), *rest)


@dataclass(frozen=True)
class Model:
    """`moves`: persona id → {feature: how far its weight was moved}. `said`: [(logit of the choice, was it right)]."""

    version: int = 0
    moves: Mapping[str, Mapping[int, float]] = field(default_factory=dict)
    memory: tuple[Example, ...] = ()
    said: tuple[tuple[float, bool], ...] = ()

    def as_json(self) -> dict:
        return {
            "name": NAME,
            "version": self.version,
            "moves": {
                each: {str(at): round(by, 5) for at, by in row.items()} for each, row in self.moves.items()
            },
            "memory": [each.as_json() for each in self.memory],
            "said": [[round(logit, 4), right] for logit, right in self.said],
        }

    @classmethod
    def from_json(cls, told: Mapping) -> "Model":
        """Another name, or nothing: a model that knows nothing yet."""
        if told.get("name") != NAME:
            return cls()
        return cls(
            version=told["version"],
            moves={each: {int(at): by for at, by in row.items()} for each, row in told["moves"].items()},
            memory=tuple(map(Example.from_json, told["memory"])),
            said=tuple((logit, right) for logit, right in told["said"]),
        )

    @property
    def card(self) -> dict:
        """What to know of it before trusting it."""
        right = [right for _, right in self.said]
        slope, shift = platt(self.said)
        return {
            "name": f"{NAME}.{self.version}",
            "version": self.version,
            "answers": sum(not each.source for each in self.memory),
            "outcomes": sum(bool(each.source) for each in self.memory),
            "said_right": round(sum(right) / len(right), 3) if right else None,
            "calibration": {"slope": round(slope, 3), "shift": round(shift, 3), "from": len(self.said)},
            "features": {"trades": len(TRADES), "names": BUCKETS},
        }


def row_of(workload: Workload) -> tuple[tuple[int, float], ...]:
    """((feature, value), ...) sorted: evidence per trade, hashed names of unit length, the constant 1."""
    found = {
        TRADE_AT[trade]: round(weight, 4) for trade, weight in workload.evidence.items() if weight >= 0.005
    }
    own = [name for name, weight in workload.names.items() if weight >= 0.8]
    for name in own:
        at = len(TRADES) + zlib.crc32(name.encode()) % BUCKETS
        found[at] = found.get(at, 0) + 1 / math.sqrt(len(own))
    found[WIDTH - 1] = 1.0
    return tuple(sorted((at, round(by, 4)) for at, by in found.items()))


def hinted(workload: Workload, wanted: Container[str]) -> tuple[str, ...]:
    """Names on the machine that some persona hints at (Scorer.by_hint), those that came along left out."""
    return tuple(sorted(name for name, weight in workload.names.items() if weight >= 0.5 and name in wanted))


class Scorer:
    """A model and the personas of today, as matrices: made once, asked for many machines."""

    def __init__(self, model: Model, profiles: Sequence[Profile], shared: Model | None = None):
        self.model, self.profiles = model, tuple(profiles)
        self.ids = [*(each.id for each in self.profiles), NONE]
        self.at = {each: index for index, each in enumerate(self.ids)}
        shares = dense_rows([_affinity_row(each) for each in self.profiles])[:, : len(TRADES)]
        covered = shares.max(axis=0, initial=0)
        # what one persona is about, another mentions: "sequence analysis" is no data science where somebody does that
        self.claims = shares * (shares / np.maximum(covered, 1e-9)) ** MENTIONED
        described = sum(bool(each.affinity) for each in self.profiles) / max(1, len(self.profiles))
        self.foreign = SHARPNESS * described * np.clip(1 - 1.5 * covered, 0, 1)
        self.start = _dense(shared.moves if shared else {}, self.ids)
        self.start[-1, -1] += NONE_AT_FIRST * math.log(len(self.ids))
        self.moved = self.start + _dense(model.moves, self.ids)
        self.weights = self.moved.copy()  # how hard a persona pulls at a sign, for the words of a reason
        self.weights[:-1, : len(TRADES)] += SHARPNESS * self.claims
        self.stiffness = np.array(
            [[STIFFNESS if each.affinity else LOOSE] for each in self.profiles] + [[STIFFNESS]]
        )
        self.by_hint: dict[str, list[tuple[int, float]]] = {}
        for index, each in enumerate(self.profiles):
            for hint in each.hints:
                self.by_hint.setdefault(hint, []).append((index, 1.0))
        for hint, personas in self.by_hint.items():  # what all are known by tells none of them
            self.by_hint[hint] = [(index, 1 / len(personas)) for index, _ in personas]
        self.platt = platt(model.said)

    def logits(self, rows: np.ndarray, hints: Sequence[Sequence[str]]) -> np.ndarray:
        return rows @ self.moved.T + self.offsets(rows, hints)

    def offsets(self, rows: np.ndarray, hints: Sequence[Sequence[str]]) -> np.ndarray:
        """What no answer moves: the words of the personas, the hints that are met, and what is foreign."""
        found = self._hints(hints)
        evidence = rows[:, : len(TRADES)]
        # evidence is a logarithm: that of all the trades of a persona is added before it is taken, so that one who is
        # about five trades gains no more from a little of each than one who is about a single trade from all of it
        found[:, :-1] += SHARPNESS * np.log1p(np.expm1(evidence) @ self.claims.T)
        found[:, -1] += self.foreignness(rows)
        return found

    def foreignness(self, rows: np.ndarray) -> np.ndarray:
        """Logits of "none of them": the trades that no persona is about, as one softmax class each; 0 without any."""
        return np.log1p(np.expm1(rows[:, : len(TRADES)] * self.foreign).sum(axis=1))

    def _hints(self, hints: Sequence[Sequence[str]]) -> np.ndarray:
        found = np.zeros((len(hints), len(self.ids)))
        for row, names in enumerate(hints):
            for name in names:
                for index, share in self.by_hint.get(name, ()):
                    found[row, index] += share
        return HINTED * np.log1p(found)

    def probabilities(self, workloads: Sequence[Workload]) -> np.ndarray:
        """(machines, personas + 1), rows sum to 1, the last column is "none of them"; calibrated."""
        rows = dense_rows([row_of(each) for each in workloads])
        raw = softmax(self.logits(rows, [hinted(each, self.by_hint) for each in workloads]))
        return calibrated(raw, self.platt)


def _affinity_row(each: Profile) -> tuple[tuple[int, float], ...]:
    return tuple((TRADE_AT[trade], share) for trade, share in each.affinity.items())


def softmax(logits: np.ndarray) -> np.ndarray:
    grown = np.exp(logits - logits.max(axis=1, keepdims=True))
    return grown / grown.sum(axis=1, keepdims=True)


def dense_rows(rows: Sequence[tuple[tuple[int, float], ...]]) -> np.ndarray:
    found = np.zeros((len(rows), WIDTH))
    for index, row in enumerate(rows):
        for at, by in row:
            found[index, at] = by
    return found


def _dense(moves: Mapping[str, Mapping[int, float]], ids: Sequence[str]) -> np.ndarray:
    return dense_rows([tuple(moves.get(each, {}).items()) for each in ids])


def learned(
    model: Model,
    profiles: Sequence[Profile],
    workload: Workload,
    *,
    label: str,
    wrong: bool = False,
    shared: Model | None = None,
) -> Model:
    """The model after one more answer: `label` is a persona's id or NONE; with `wrong`, only what it is not."""
    scorer = Scorer(model, profiles, shared)
    example = Example(row_of(workload), hinted(workload, scorer.by_hint), label, wrong)
    said = model.said
    if not wrong and label in scorer.at:
        chances = softmax(scorer.logits(dense_rows([example.row]), [example.hints]))[0]
        said = (*said, (_logit(chances.max()), int(chances.argmax()) == scorer.at[label]))[-CALIBRATED_ON:]
    return replace(_refitted(model, scorer, (*model.memory, example)[-MEMORY:]), said=said)


def learned_later(
    model: Model,
    profiles: Sequence[Profile],
    workload: Workload,
    *,
    label: str,
    source: str,
    lesson: Lesson | None,
    shared: Model | None = None,
) -> Model:
    """The model after it was told what became of a suggestion; `lesson` None: what `source` said before is forgotten.
    It says nothing of how sure the model may be: whoever followed a suggestion had seen it."""
    kept = tuple(each for each in model.memory if each.source != source)
    scorer = Scorer(model, profiles, shared)
    if lesson:
        row, hints = row_of(workload), hinted(workload, scorer.by_hint)
        kept = (*kept, Example(row, hints, label, lesson.wrong, lesson.weight, source))[-MEMORY:]
    return model if kept == model.memory else _refitted(model, scorer, kept)


def _refitted(model: Model, scorer: Scorer, memory: tuple[Example, ...]) -> Model:
    moves = _fit(scorer, [each for each in memory if each.label in scorer.at])
    kept = {
        each: row for each, row in model.moves.items() if each not in scorer.at
    }  # archived ones may come back
    return replace(model, version=model.version + 1, moves=kept | moves, memory=memory)


def _fit(scorer: Scorer, told: Sequence[Example]) -> dict[str, dict[int, float]]:
    """A few steps (Adam, Kingma & Ba 2015) from where the weights are towards the best ones."""
    rows = dense_rows([each.row for each in told])
    offsets = scorer.offsets(rows, [each.hints for each in told])
    targets = np.zeros(offsets.shape)
    targets[np.arange(len(told)), [scorer.at[each.label] for each in told]] = 1
    wrong = np.array([each.wrong for each in told], dtype=bool)
    counts = np.array([[each.weight] for each in told]).reshape(-1, 1)
    weights, pace, size = scorer.moved.copy(), 0.0, 0.0
    for step in range(1, STEPS + 1):
        pull = counts * _pull(softmax(rows @ weights.T + offsets), targets, wrong)
        slope = pull.T @ rows + scorer.stiffness * (weights - scorer.start)
        pace, size = 0.8 * pace + 0.2 * slope, 0.95 * size + 0.05 * slope**2
        eased = STRIDE * (1 - (step - 1) / STEPS)
        weights -= eased * (pace / (1 - 0.8**step)) / (np.sqrt(size / (1 - 0.95**step)) + 0.3)
    moved = weights - scorer.start
    return {
        each: {int(at): float(moved[index, at]) for at in np.flatnonzero(np.abs(moved[index]) > 1e-4)}
        for index, each in enumerate(scorer.ids)
    }


def _pull(chances: np.ndarray, targets: np.ndarray, wrong: np.ndarray) -> np.ndarray:
    """Gradient of the loss by the logits. What the model finds nearly impossible is likelier a blunder."""
    of_label = (chances * targets).sum(axis=1, keepdims=True)
    others = np.maximum(1 - of_label, 1e-9)
    trust = (1 - ERRORS) * of_label / ((1 - ERRORS) * of_label + ERRORS / chances.shape[1])
    away = (
        chances - chances * (1 - targets) / others
    )  # of "not this one": its share goes to the rest in proportion
    trust = np.maximum(trust, LEAST_TRUST)
    return np.where(wrong[:, None], away, trust * (chances - targets))


def _logit(chance: float) -> float:
    bounded = min(max(float(chance), 1e-6), 1 - 1e-6)
    return math.log(bounded / (1 - bounded))


def platt(said: Sequence[tuple[float, bool]]) -> tuple[float, float]:
    """(slope, shift) for the logit of the chosen one; FIRST_DAY is drawn to until there is enough to go by.
    A right choice is told so but for the blunders (a lapse rate, Wichmann & Hill 2001)."""
    if not said:
        return FIRST_DAY
    logits, right = np.array([each for each, _ in said]), np.array([each for _, each in said], dtype=float)
    fresh = 0.5 ** (np.arange(len(right))[::-1] / HALF_LIFE)
    found, start = np.array(FIRST_DAY), np.array(FIRST_DAY)
    design = np.stack([logits, np.ones(len(logits))], axis=1)
    firm = np.array([10.0, 2.0])
    for _ in range(25):
        chance = 1 / (1 + np.exp(-np.clip(design @ found, -30, 30)))
        told = (1 - ERRORS) * chance
        weight = fresh * (1 - chance) / (1 - told)
        slope = design.T @ (weight * (told - right)) + firm * (found - start)
        bend = (design * (weight * told * (1 - chance))[:, None]).T @ design + np.diag(firm)  # Fisher's: > 0
        found = found - np.clip(np.linalg.solve(bend, slope), -0.3, 0.3)  # Newton, in short steps
    return float(max(found[0], 0.05)), float(found[1])


def calibrated(chances: np.ndarray, platts: tuple[float, float]) -> np.ndarray:
    """The chosen one's chance corrected, the others scaled to what is left; the choice stays the choice."""
    if chances.shape[1] < 2:
        return chances
    slope, shift = platts
    best = chances.argmax(axis=1)
    rows = np.arange(len(chances))
    top = np.clip(chances[rows, best], 1e-6, 1 - 1e-6)
    corrected = 1 / (1 + np.exp(-(slope * np.log(top / (1 - top)) + shift)))
    left = (1 - corrected) / (1 - top)
    second = np.partition(chances, -2, axis=1)[:, -2]
    found = chances * left[:, None]
    found[rows, best] = np.maximum(corrected, second * left)
    return found / found.sum(axis=1, keepdims=True)
