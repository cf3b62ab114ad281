"""What the scan script (analyzer/sources/ssh_scan.sh) answers, cut into its parts. A machine may answer anything."""

from dataclasses import dataclass

LONGEST_LINE = 4_096
MOST_PARTS = 200


class NoReport(ValueError):
    """The answer is not one of the script; the message says what came instead."""


@dataclass(frozen=True)
class Report:
    """Part → the lines of each time it came, in order. `whole`: the script came to its end."""

    parts: dict[str, list[list[str]]]
    whole: bool

    def lines(self, name: str) -> list[str]:
        """Of the first part of that name; empty when there is none."""
        return self.parts.get(name, [[]])[0]

    def has(self, name: str) -> bool:
        return name in self.parts


def parse_report(answer: bytes, token: str) -> Report:
    """`token` is what the script was started with: no file's content can pass for the beginning of a part. Raises
    NoReport."""
    parts: dict[str, list[list[str]]] = {}
    current: list[str] = []
    longest, began = LONGEST_LINE, f"@@{token} "
    for line in answer.decode("utf-8", "backslashreplace").split("\n"):
        if line.startswith(began):
            name, current = line[len(began) :].strip()[:40], []
            longest = None if name == "sadf" else LONGEST_LINE  # it writes a day into one line
            parts.setdefault(name, []).append(current)
            if sum(map(len, parts.values())) > MOST_PARTS:
                raise NoReport(f"it has more than {MOST_PARTS} parts")
        else:
            current.append(line[:longest])
    if "os" not in parts or "system" not in parts:
        raise NoReport("it is not what the scan script writes; does the shell of this account run commands?")
    return Report(parts, whole="end" in parts)


def values_of(lines: list[str]) -> dict[str, str]:
    """`name=value` lines."""
    return {name: value.strip() for name, equals, value in (line.partition("=") for line in lines) if equals}
