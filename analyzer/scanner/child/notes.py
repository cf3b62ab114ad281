"""What the scan has to say about itself: coverage per area, and concerns."""

AREAS = (
    "os",
    "kernels",
    "packages",
    "services",
    "users",
    "listening",
    "filesystems",
    "network",
    "usage",
    "extras",
)  # as facts.AREAS; a test ties the two


class Notes:
    def __init__(self):
        self._coverage: dict[str, tuple[str, str]] = {}
        self.concerns: list[dict] = []

    def full(self, area: str) -> None:
        self._coverage.setdefault(area, ("full", ""))

    def partial(self, area: str, reason: str) -> None:
        if self._coverage.get(area, ("full", ""))[0] == "full":
            self._coverage[area] = ("partial", reason)

    def none(self, area: str, reason: str) -> None:
        self._coverage[area] = ("none", reason)

    def concern(self, severity: str, code: str, text: str) -> None:
        self.concerns.append({"severity": severity, "code": code, "text": text})

    def coverage(self) -> list[dict]:
        nothing = ("none", "not reached")
        rows = {area: self._coverage.get(area, nothing) for area in AREAS}
        return [{"area": area, "state": state, "reason": reason} for area, (state, reason) in rows.items()]
