"""Numbers as people read them. Pure: the templates' filters and the command line use the same words."""

from datetime import timedelta

UNKNOWN = "–"
NOTHING = (None, "")  # a template passes "" for a variable that is not there
BINARY = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def format_bytes(value: float | None) -> str:
    """Bytes in the largest binary unit that leaves at least 1: `1536` is "1.5 KiB"."""
    if value in NOTHING:
        return UNKNOWN
    size, unit = float(value), 0
    while abs(size) >= 1024 and unit < len(BINARY) - 1:
        size, unit = size / 1024, unit + 1
    return f"{_short(size)} {BINARY[unit]}"


def format_mib(value: float | None) -> str:
    """MiB in the largest unit that fits: `8192` is "8 GiB"."""
    return UNKNOWN if value in NOTHING else format_bytes(value * 2**20)


def format_gib(value: float | None) -> str:
    return UNKNOWN if value in NOTHING else format_bytes(value * 2**30)


def format_percent(value: float | None) -> str:
    """A share of 100, without decimals: `99.96` is "99 %", since only what is done is 100."""
    if value in NOTHING:
        return UNKNOWN
    return f"{int(value)} %"


def format_duration(value: float | timedelta | None) -> str:
    """Seconds in at most two units: `3905` is "1 h 5 min"; below ten seconds with one decimal."""
    if value in NOTHING:
        return UNKNOWN
    seconds = value.total_seconds() if isinstance(value, timedelta) else float(value)
    if seconds < 0:
        return f"-{format_duration(-seconds)}"
    if seconds < 10:
        return f"{_short(seconds)} s"
    whole = round(seconds)
    days, rest = divmod(whole, 86400)
    hours, rest = divmod(rest, 3600)
    minutes, secs = divmod(rest, 60)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (secs, "s")]
    first = next(i for i, (n, _) in enumerate(parts) if n)
    return " ".join(f"{n} {unit}" for n, unit in parts[first : first + 2] if n)


def _short(number: float) -> str:
    """One decimal, and none where it would be a zero or where the number is long."""
    return f"{number:.1f}".removesuffix(".0") if abs(number) < 100 else f"{number:.0f}"
