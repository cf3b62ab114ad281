"""On which terms a run moves a machine: a rehearsal or the move itself, and who says that it stays moved. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

CUTOVER_LIMITS = ("shutdown_minutes", "decide_minutes")
LONGEST_MINUTES = 7 * 24 * 60  # a rollback by the clock that nobody remembers helps nobody


class Mode(StrEnum):
    COLD = "cold"
    CUTOVER = "cutover"  # the source runs until its last moment, then it is shut down by the run
    WARM = "warm"  # a cutover whose copy is made while the source runs: only its last changes are read afterwards
    TEST = "test"  # a rehearsal: the target is labelled, kept apart, and discarded in the end


class Commit(StrEnum):
    AT_ONCE = "at_once"
    BY_HAND = "by_hand"
    TIMED = "timed"  # rolled back by itself unless confirmed in time


class OnRollback(StrEnum):
    REMOVE = "remove"
    KEEP = "keep"


class TermsError(ValueError):
    """Terms that contradict each other; `field` is the one to change."""

    def __init__(self, field: str, message: str):
        super().__init__(message)
        self.field = field


@dataclass(frozen=True)
class Terms:
    """`checks_confirm`: acceptance checks that all pass confirm the run by themselves. `shutdown_minutes`: how long a
    cutover waits for its source to go off; `decide_minutes`: and then for a person. None: as the installation says."""

    mode: Mode = Mode.COLD
    commit: Commit = Commit.AT_ONCE
    confirm_minutes: int | None = None
    checks_confirm: bool = False
    on_rollback: OnRollback = OnRollback.REMOVE
    shutdown_minutes: int | None = None
    decide_minutes: int | None = None

    def __post_init__(self):
        if self.commit == Commit.TIMED and not self.confirm_minutes:
            raise TermsError("confirm_minutes", "Say within how many minutes it must be confirmed.")
        if self.commit != Commit.TIMED and self.confirm_minutes:
            raise TermsError(
                "confirm_minutes", "Only a run that rolls itself back has a time to confirm it in."
            )
        if self.confirm_minutes and not 1 <= self.confirm_minutes <= LONGEST_MINUTES:
            raise TermsError("confirm_minutes", f"Between 1 and {LONGEST_MINUTES} minutes.")
        if self.checks_confirm and self.commit == Commit.AT_ONCE:
            raise TermsError("checks_confirm", "A run that commits at once needs no confirmation.")
        if self.mode == Mode.TEST and self.commit != Commit.AT_ONCE:
            raise TermsError("commit", "A test migration has nothing to commit: it is discarded.")
        for field in CUTOVER_LIMITS:
            self._require_limit(field, getattr(self, field))

    def _require_limit(self, field: str, minutes: int | None) -> None:
        if minutes is None:
            return
        if self.mode in (Mode.COLD, Mode.TEST):
            raise TermsError(field, "Only a cutover waits for its source to shut down.")
        if not 1 <= minutes <= LONGEST_MINUTES:
            raise TermsError(field, f"Between 1 and {LONGEST_MINUTES} minutes.")

    def as_dict(self) -> dict[str, Any]:
        """A limit that nobody set is not in it, so that what was signed before there were any is still the same."""
        return {name: value for name, value in asdict(self).items() if name not in CUTOVER_LIMITS or value is not None}

    def are_default(self) -> bool:
        return self == Terms()


DEFAULT_TERMS = Terms()


def terms_of(given: Mapping[str, Any]) -> Terms:
    """From the words of a form, an API body or a row; what is absent is as ever. Raises TermsError."""
    said = {name: given[name] for name in Terms.__dataclass_fields__ if given.get(name) not in (None, "")}
    for name, words in (("mode", Mode), ("commit", Commit), ("on_rollback", OnRollback)):
        if name in said:
            try:
                said[name] = words(said[name])
            except ValueError:
                raise TermsError(name, f"{said[name]!r} is none of {', '.join(words)}.") from None
    return Terms(**said)


def needs_confirmation(terms: Terms, checks: Iterable[Mapping[str, Any]]) -> bool:
    """`checks`: the rows of the acceptance checks. Without a single check nothing has confirmed anything."""
    if terms.commit == Commit.AT_ONCE:
        return False
    verdicts = [row["verdict"] for row in checks]
    return not (terms.checks_confirm and verdicts and set(verdicts) == {"pass"})


def confirm_by(terms: Terms, now: datetime) -> datetime | None:
    return now + timedelta(minutes=terms.confirm_minutes) if terms.confirm_minutes else None
