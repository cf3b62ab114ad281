"""Usage of many machines as one CSV, read in one pass into columns of numbers, whatever the file's order:
48 bytes a row, twice while it is sorted."""

import csv
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from analyzer.domain.sizing import Trace

COLUMNS = ("vm", "t", "cpu_used", "cpu_cap", "mem_used", "mem_cap")
MILLISECONDS_FROM = 1e11  # as seconds, the year 5138


class WrongTable(ValueError):
    """Says the row (the header is row 1) and what is wrong with it."""


@dataclass(frozen=True)
class UsageTable:
    """Rows sorted by machine, then time. `starts` has the first row of each machine and the end."""

    names: list[str]
    starts: np.ndarray
    columns: dict[str, np.ndarray]

    def traces(self, resource: str) -> Iterator[tuple[str, Trace]]:
        """(machine, its trace) for `cpu` or `mem`."""
        t_s, used, capacity = (self.columns[name] for name in ("t", f"{resource}_used", f"{resource}_cap"))
        for name, start, end in zip(self.names, self.starts, self.starts[1:], strict=False):
            yield name, Trace(t_s[start:end], used[start:end], capacity[start:end])


def read_table(lines: Iterable[str]) -> UsageTable:
    """Columns in any order, others are ignored; times are ISO 8601 or epoch seconds (or milliseconds); an empty number
    was not measured. Raises WrongTable."""
    rows = csv.reader(lines)
    header = [name.strip().lower() for name in next(rows, [])]
    missing = [name for name in COLUMNS if name not in header]
    if missing:
        raise WrongTable(f"row 1: {', '.join(missing)} missing; needed: {', '.join(COLUMNS)}")
    at = [header.index(name) for name in COLUMNS]
    codes: dict[str, int] = {}
    machine, numbers = array("q"), {name: array("d") for name in COLUMNS[1:]}
    try:
        for cells in filter(None, rows):
            values = parsed(cells, at)
            machine.append(codes.setdefault(cells[at[0]], len(codes)))
            for column, value in zip(numbers.values(), values, strict=True):
                column.append(value)
    except (csv.Error, ValueError, IndexError) as error:
        raise WrongTable(f"row {rows.line_num}: {error}") from None
    if not codes:
        raise WrongTable("row 2: there is no row")
    return sorted_table(list(codes), machine, numbers)


def parsed(cells: list[str], at: list[int]) -> list[float]:
    return [time(cells[at[1]]), *(float(cells[i]) if cells[i].strip() else np.nan for i in at[2:])]


def time(cell: str) -> float:
    try:
        found = float(cell)
    except ValueError:
        moment = datetime.fromisoformat(cell)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if not np.isfinite(found):
        raise ValueError(f"{cell!r} is no time")
    return found / 1000 if found >= MILLISECONDS_FROM else found


def sorted_table(names: list[str], machine: array, numbers: dict[str, array]) -> UsageTable:
    codes = np.frombuffer(machine, dtype=np.int64)
    columns = {name: np.frombuffer(column) for name, column in numbers.items()}
    order = np.lexsort((columns["t"], codes))
    starts = np.searchsorted(codes[order], np.arange(len(names) + 1))
    return UsageTable(names, starts, {name: column[order] for name, column in columns.items()})
