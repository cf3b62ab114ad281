"""What became of a suggestion that was followed, and what the recommender learns from it: a second label, days later.

A person's answer says who a machine is. A run that succeeded says that nobody objected afterwards: half a word more.
One that was taken back, or whose own script failed, says the opposite, as softly. A full disk says nothing of who a
machine is, and a size that was changed says little: software decides who it is, usage how big. Each run has one
outcome; what it says later (taken back, resized, drifted) replaces what it said before.
"""

from dataclasses import dataclass
from enum import StrEnum

RESIZED_WITHIN_DAYS = 14


class OutcomeKind(StrEnum):
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SCRIPT_FAILED = "script_failed"
    ROLLED_BACK = "rolled_back"
    RESIZED = "resized"
    DRIFTED = "drifted"


@dataclass(frozen=True)
class Lesson:
    """`weight`: of the answer that a person gives, which is 1. `wrong`: the persona is not the one."""

    weight: float
    wrong: bool = False


LESSONS: dict[OutcomeKind, Lesson | None] = {
    OutcomeKind.SUCCEEDED: Lesson(0.5),
    OutcomeKind.RESIZED: Lesson(0.25),
    OutcomeKind.ROLLED_BACK: Lesson(0.5, wrong=True),
    OutcomeKind.SCRIPT_FAILED: Lesson(0.25, wrong=True),
    OutcomeKind.FAILED: None,
    OutcomeKind.DRIFTED: None,  # the machine is no longer what it was: that it fitted then is forgotten, no more
}


def went_well(kind: OutcomeKind) -> bool:
    """Whether the suggestion counts as succeeded while this is its last word."""
    return kind == OutcomeKind.SUCCEEDED
