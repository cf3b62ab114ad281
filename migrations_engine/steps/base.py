"""What a step is: it says what it needs and what it gives, and can be run again at any moment."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection
from django.utils import timezone

from migrations_engine.domain.states import StepName
from migrations_engine.models import MigrationRun
from migrations_engine.services import claims
from migrations_engine.services.events import tell
from migrations_engine.targets.base import AgentUnavailable, Target

log = structlog.get_logger(__name__)

WRITE_EVERY_S = 0.5  # progress is for people: more often is only load on the database
PATIENCE_S = 300  # an emulated guest that starts its services leaves its agent without an answer for minutes
PAUSE_S = 1.0
DATABASE_GONE = (OperationalError, InterfaceError)


class StepFailed(Exception):
    """The step cannot succeed; the message is the root cause, for a person. `result`: what it found until then."""

    def __init__(self, message: str, result: dict[str, Any] | None = None):
        super().__init__(message)
        self.result = result


class Alive:
    """Keeps a claim while a handler works, and tells how far it is.

    Every call may raise LostClaim or Cancelled: the handler lets them pass.
    """

    def __init__(self, claim: claims.Claim):
        self.claim = claim
        self._message = ""
        self._written_at = self._renewed_at = time.monotonic()

    def __call__(self, percent: float | None = None, done: int = 0, total: int = 0) -> None:
        if time.monotonic() - self._written_at >= WRITE_EVERY_S:
            self._renew(_progress(percent, done, total))

    def phase(self, message: str, percent: float) -> None:
        """A new thing begins, at `percent` of the step; bytes and rates count from here."""
        self._message = message
        columns = {"message": message[:300], "percent": percent, "phase_at": timezone.now()}
        self._renew({**columns, "bytes_done": 0, "bytes_total": 0})
        tell(self.claim.run_id, message, step=self.claim.name)

    def progress(self, start: float, end: float) -> Callable[[int, int], None]:
        """A callback for bytes (done, total) that moves the step from `start` to `end` percent."""

        def report(done: int, total: int) -> None:
            share = min(1.0, done / total) if total else 0.0
            self(start + (end - start) * share, done, total)

        return report

    def show(self, live: dict[str, Any]) -> None:
        """What a script writes while it runs."""
        self._renew({"live": live})

    def forget_shown(self) -> None:
        """Without a word to the lease: it may be lost already."""
        claims.forget_live(self.claim)

    def during(
        self, call: Callable, *arguments: Any, beat: Callable[[], None] | None = None, **options: Any
    ) -> Any:
        """The call's result, or what it raises; the claim is kept meanwhile. For calls that tell nothing of themselves.

        `beat` is called instead of this object where the caller has something to tell meanwhile.
        A cancel is raised after the call has ended, so that nothing goes on behind our back. The call must not use the
        database: it runs in a thread of its own.
        """
        outcome: dict[str, Any] = {}

        def work():
            try:
                outcome["result"] = call(*arguments, **options)
            except BaseException as error:
                outcome["error"] = error

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        stopped: Exception | None = None
        while thread.is_alive():
            thread.join(WRITE_EVERY_S)
            try:
                (beat or self)()
            except (claims.LostClaim, claims.Cancelled) as error:
                stopped = error
        if stopped is not None:
            raise stopped
        if "error" in outcome:
            raise outcome["error"]
        return outcome["result"]

    def patiently(self, call: Callable, *arguments: Any, **options: Any) -> Any:
        """For what may be asked of a guest again and again: one that is busy starting answers late, not never."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                return call(*arguments, **options)
            except AgentUnavailable:
                if time.monotonic() > deadline:
                    raise
            self()
            time.sleep(PAUSE_S)

    def say(self, text: str, level: str = "info") -> None:
        tell(self.claim.run_id, text, step=self.claim.name, level=level)

    def _renew(self, columns: dict[str, Any]) -> None:
        now = time.monotonic()
        self._written_at = now
        try:
            claims.renew(self.claim, **columns)
        except DATABASE_GONE as error:
            # a restart of the database must not end a copy of hours; the lease says how long we may hope
            connection.close()
            log.warning("lease_not_renewed", error=str(error))
            if now - self._renewed_at > settings.LEASE_S:
                raise claims.LostClaim("the database did not answer for longer than the lease") from error
            return
        self._renewed_at = now


def _progress(percent, done, total) -> dict[str, Any]:
    columns: dict[str, Any] = {} if percent is None else {"percent": round(percent, 1)}
    return columns | ({"bytes_done": done, "bytes_total": total} if total else {})


@dataclass
class Work:
    """What a handler is given. `known`: what the earlier steps gave. `before`: what this step had kept when its last
    worker died or it failed, {} at the first time."""

    run: MigrationRun
    claim: claims.Claim
    alive: Alive
    target: Target
    known: dict[str, Any]
    before: dict[str, Any] = field(default_factory=dict)
    kept: dict[str, Any] = field(
        default_factory=dict
    )  # what of this try is to be kept with whatever comes next

    @property
    def plan(self) -> dict[str, Any]:
        return self.run.plan

    @property
    def key(self) -> str:
        """What everything made at the target carries."""
        return str(self.run.pk)

    def keep(self, result: dict[str, Any]) -> None:
        """Stores what there is so far for whoever takes over."""
        claims.keep(self.claim, result)


@dataclass(frozen=True)
class Step:
    """`needs`: keys of what earlier steps gave. `gives`: keys of the dict that `handle` returns, plain JSON."""

    name: StepName
    needs: frozenset[str]
    gives: frozenset[str]
    handle: Callable[[Work], dict[str, Any]]
