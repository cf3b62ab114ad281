"""Faults that an admin switches on in a test migration, to see what happens then and to practise the way out. Pure."""

from enum import StrEnum


class Fault(StrEnum):
    DISK_FULL = "disk_full"
    AGENT_HANGS = "agent_hangs"
    SCRIPT_FAILS = "script_fails"


WORDS = {
    Fault.DISK_FULL: "the target's disk is full in the middle of the copy",
    Fault.AGENT_HANGS: "the guest boots, and its agent does not answer",
    Fault.SCRIPT_FAILS: "the first script fails",
}
SIMULATED = "Simulated for a drill"


def words(fault: str) -> str:
    """Empty for no drill."""
    return WORDS[Fault(fault)] if fault else ""
