"""Faults that an admin switches on in a test migration, or of a cutover's shutdown in a cutover, to see what happens
then and to practise the way out. Pure."""

from enum import StrEnum

from migrations_engine.domain.terms import Mode


class Fault(StrEnum):
    DISK_FULL = "disk_full"
    AGENT_HANGS = "agent_hangs"
    SCRIPT_FAILS = "script_fails"
    SHUTDOWN_REFUSED = "shutdown_refused"


WORDS = {
    Fault.DISK_FULL: "the target's disk is full in the middle of the copy",
    Fault.AGENT_HANGS: "the guest boots, and its agent does not answer",
    Fault.SCRIPT_FAILS: "the first script fails",
    Fault.SHUTDOWN_REFUSED: "the source's guest refuses to shut down",
}
WHERE = {Mode.TEST: "test migrations", Mode.CUTOVER: "cutovers"}
SIMULATED = "Simulated for a drill"


def words(fault: str) -> str:
    """Empty for no drill."""
    return WORDS[Fault(fault)] if fault else ""


def mode_of(fault: str) -> Mode:
    """The one kind of run that may meet it: a rehearsal, where the fault is not about the move itself."""
    return Mode.CUTOVER if fault == Fault.SHUTDOWN_REFUSED else Mode.TEST
