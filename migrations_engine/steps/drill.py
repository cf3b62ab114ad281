"""A run's target with one fault in it, or its source. Only the first try meets it: after *Try again* all is real."""

import errno
from typing import Any, cast

from migrations_engine.domain.drills import SIMULATED, Fault, words
from migrations_engine.domain.machine import DiskRef, MachineRef, Result, SourceDisk
from migrations_engine.models import MigrationRun
from migrations_engine.targets.base import (
    AgentUnavailable,
    KeepAlive,
    Progress,
    Target,
    no_keep_alive,
    no_progress,
)


def with_drill(target: Target, run: MigrationRun) -> Target:
    return cast(Target, Drilled(target, Fault(run.drill))) if _is_simulated(run) else target


def refuses_shutdown(run: MigrationRun) -> bool:
    """Whether the source is to be taken for one that refuses, and is not asked."""
    return run.drill == Fault.SHUTDOWN_REFUSED and _is_simulated(run)


def _is_simulated(run: MigrationRun) -> bool:
    return bool(run.drill) and not run.steps.filter(retries__gt=0).exists()


class Drilled:
    """What is not named here is the real target's."""

    def __init__(self, target: Target, fault: Fault):
        self._target, self._fault = target, fault
        self._told = f"{SIMULATED}: {words(fault)}"

    def __getattr__(self, verb: str) -> Any:
        return getattr(self._target, verb)

    def copy(self, key: str, source: SourceDisk, progress: Progress = no_progress) -> DiskRef:
        """Stopped where a full disk would stop it, so that it leaves behind what that leaves."""

        def until_full(done: int, total: int) -> None:
            progress(done, total)
            if 2 * done >= total:
                raise OSError(errno.ENOSPC, self._told)

        fails = self._fault == Fault.DISK_FULL
        return self._target.copy(key, source, until_full if fails else progress)

    def wait_ready(self, ref: MachineRef, timeout_s: float, keep_alive: KeepAlive = no_keep_alive) -> None:
        if self._fault == Fault.AGENT_HANGS:
            keep_alive()
            raise AgentUnavailable(f"{self._told}.")
        self._target.wait_ready(ref, timeout_s, keep_alive)

    def run(
        self,
        ref: MachineRef,
        script: str,
        timeout_s: float,
        once_key: str | None = None,
        keep_alive: KeepAlive = no_keep_alive,
    ) -> Result:
        """Our own questions carry no key; a script does."""
        if self._fault == Fault.SCRIPT_FAILS and once_key is not None:
            return Result(1, "", f"{self._told}.\n", 0.0)
        return self._target.run(ref, script, timeout_s, once_key=once_key, keep_alive=keep_alive)
