"""What a check before publishing has found."""

from typing import Literal, NamedTuple


class Finding(NamedTuple):
    """`check`: lint, tests, shellcheck or secrets. `place`: what to change (`readme`, `script`, `scripts.tune`,
    `persona`, `tests`), `line` in it, counted from 1; 0 for all of it. Only an error keeps a release from being
    published."""

    check: str
    level: Literal["error", "warning"]
    place: str
    line: int
    text: str

    def told(self) -> str:
        return f"line {self.line}: {self.text}" if self.line else self.text


def errors_by_place(findings: list[Finding]) -> dict[str, list[str]]:
    """{place: ["line 3: …"]} of what has to be mended."""
    told: dict[str, list[str]] = {}
    for finding in findings:
        if finding.level == "error":
            told.setdefault(finding.place, []).append(finding.told())
    return told
