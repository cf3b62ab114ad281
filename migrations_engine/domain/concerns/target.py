"""What the target itself says of the machine that is asked of it."""

from collections.abc import Iterable

from migrations_engine.domain.concerns.outlook import Concern, Outlook, Severity


def concerns(o: Outlook) -> Iterable[Concern]:
    for row in o.target:
        text = f"{row.text[:1].upper()}{row.text[1:].removesuffix('.')}."
        yield Concern(
            f"target.{row.subject}", "Target", Severity(row.severity.capitalize()), text, "", row.subject
        )
