"""Usage as CSV: a column `t` and one column per metric. Either every row is right, or every wrong one is told."""

import csv
import io
import math
from datetime import UTC, datetime

from analyzer.domain.usage import is_possible

METRICS = (
    "cpu_percent",
    "memory_percent",
    "net_in_mbps",
    "net_out_mbps",
    "disk_read_mibs",
    "disk_write_mibs",
)
MAX_ROWS = 60_000  # 40 days of minutes
MAX_ERRORS = 50  # a person mends fifty and uploads again
EARLIEST_S = int(datetime(2000, 1, 1, tzinfo=UTC).timestamp())


class InvalidCsv(ValueError):
    """`errors`: [(row, column, message)]; row 1 is the header, column is empty when the whole row is meant."""

    def __init__(self, errors: list[tuple[int, str, str]]):
        self.errors = errors[:MAX_ERRORS]
        super().__init__("; ".join(f"row {row} {column}: {told}" for row, column, told in self.errors))


def parse_csv(text: str, *, latest_s: int) -> dict[str, list[tuple[int, float]]]:
    """Metric → [(epoch seconds, value)] in ascending order. Times are ISO 8601 (UTC when no zone is said) or epoch
    seconds, not later than `latest_s`. An empty cell says nothing. Comma or semicolon. Raises InvalidCsv."""
    text = text.removeprefix("\ufeff")
    first_line = text.partition("\n")[0]
    delimiter = ";" if first_line.count(";") > first_line.count(",") else ","
    rows = csv.reader(io.StringIO(text), delimiter=delimiter)
    try:
        columns = _columns(next(rows, []))
        return _parsed(rows, columns, latest_s)
    except csv.Error as error:
        raise InvalidCsv([(rows.line_num, "", str(error))]) from None


def _columns(header: list[str]) -> list[str]:
    columns = [name.strip().lower() for name in header]
    known = ("t", *METRICS)
    errors = [
        (1, name[:40], f"is no column; known: {', '.join(known)}") for name in columns if name not in known
    ]
    errors += [(1, name, "stands there twice") for name in known if columns.count(name) > 1]
    if "t" not in columns:
        errors.append((1, "t", "is missing: the time of each row"))
    if not errors and len(columns) < 2:
        errors.append((1, "", "has a time, but no metric"))
    if errors:
        raise InvalidCsv(errors)
    return columns


def _parsed(rows, columns: list[str], latest_s: int) -> dict[str, list[tuple[int, float]]]:
    found: dict[str, list[tuple[int, float]]] = {name: [] for name in columns if name != "t"}
    errors: list[tuple[int, str, str]] = []
    for number, cells in enumerate(rows, start=2):
        if number > MAX_ROWS + 1:
            raise InvalidCsv([(number, "", f"is one too many: {MAX_ROWS} rows at most in one upload")])
        if any(cell.strip() for cell in cells):
            errors += _take(found, number, columns, cells, latest_s)
        if len(errors) >= MAX_ERRORS:
            break
    if errors:
        raise InvalidCsv(errors)
    if not any(found.values()):
        raise InvalidCsv([(1, "", "is followed by no value at all")])
    return {metric: sorted(samples) for metric, samples in found.items() if samples}


def _take(
    found, number: int, columns: list[str], cells: list[str], latest_s: int
) -> list[tuple[int, str, str]]:
    if len(cells) != len(columns):
        return [(number, "", f"has {len(cells)} cells, the header has {len(columns)}")]
    row = {column: cell.strip() for column, cell in zip(columns, cells, strict=True)}
    try:
        at = _time(row.pop("t"), latest_s)
    except ValueError as error:
        return [(number, "t", str(error))]
    errors = []
    for metric, cell in row.items():
        if cell:
            try:
                found[metric].append((at, _value(metric, cell)))
            except ValueError as error:
                errors.append((number, metric, str(error)))
    return errors


def _time(cell: str, latest_s: int) -> int:
    try:
        at = float(cell)
    except ValueError:
        at = _iso(cell)
    if not math.isfinite(at) or not EARLIEST_S <= at <= latest_s:
        raise ValueError(f"{cell[:40]!r} lies before 2000 or in the future")
    return int(at)


def _iso(cell: str) -> float:
    try:
        moment = datetime.fromisoformat(cell)
    except ValueError:
        raise ValueError(f"{cell[:40]!r} is neither ISO 8601 nor epoch seconds") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _value(metric: str, cell: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        raise ValueError(f"{cell[:40]!r} is no number") from None
    if not is_possible(metric, value):
        allowed = "0 to 100" if metric.endswith("percent") else "0 or more"
        raise ValueError(f"{cell[:40]} is not possible; allowed: {allowed}")
    return value
