"""What a machine's own journal told of its use, as its usage page shows it."""

from analyzer.domain.facts import Facts, UnitUse
from analyzer.services.usage import utc

SHOWN_UNITS = 8


def journal_shown(facts: Facts | None) -> dict | None:
    """None where no journal was read."""
    if facts is None or facts.journal is None or not facts.journal.boots:
        return None
    found = facts.journal
    return {
        "boots": len(found.boots),
        "up_percent": found.up_percent,
        "first_at": utc(found.boots[0].started_s),
        "last_at": utc(found.boots[-1].ended_s),
        "cpu_percent": next(
            (each.cpu_percent for each in reversed(found.boots) if each.cpu_percent is not None), None
        ),
        "processors": found.processors,
        "restarts": found.restarts[:SHOWN_UNITS],
        "killed": len(found.out_of_memory),
        "killed_last": found.out_of_memory[-1].process if found.out_of_memory else "",
        "units": [_unit(use) for use in found.units[:SHOWN_UNITS]],
    }


def _unit(use: UnitUse) -> dict:
    """`percent`: of one processor, the mean over the unit's run."""
    seconds = use.ended_s - use.started_s if use.started_s is not None else 0
    percent = 100 * use.cpu_s / seconds if use.cpu_s is not None and seconds > 0 else None
    told = {"unit": use.unit, "seconds": seconds or None, "ended_at": utc(use.ended_s), "percent": percent}
    return told | {"cpu_s": use.cpu_s, "memory_peak_bytes": use.memory_peak_bytes}
