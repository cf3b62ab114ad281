"""Checks that the disk gives no hope of."""

from collections.abc import Iterable

from migrations_engine.domain.concerns.outlook import Concern, Outlook, Severity
from migrations_engine.domain.settings_path import leaf
from personas.domain.checks import check_words


def _ports(o: Outlook) -> Iterable[Concern]:
    """Only where the disk says what listens at all: of many services the configuration names no port."""
    listening = {each.port: each.service for each in o.facts.listening} if o.facts else {}
    if not listening:
        return
    known = ", ".join(f"{service} on {port}" for port, service in sorted(listening.items())[:5])
    for check in leaf(o.settings, "acceptance_checks", []):
        if check.get("port") and check["port"] not in listening:
            must_pass = check.get("must_pass", True)
            yield Concern(
                "acceptance.nothing_listens",
                "Acceptance",
                Severity.WARNING if must_pass else Severity.INFORMATION,
                f"The check {check_words(check)} {'must pass' if must_pass else 'will be made'}, and nothing on the"
                f" disk listens on port {check['port']} (known: {known}).",
                "Choose a persona whose checks fit, or make the check advisory (must_pass: false).",
                "acceptance_checks",
            )


RULES = (_ports,)
