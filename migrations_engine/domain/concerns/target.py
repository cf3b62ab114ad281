"""What the target itself says of the machine that is asked of it."""

from collections.abc import Iterable

from migrations_engine.domain.concerns.outlook import Concern, Outlook, Severity


def _name(o: Outlook) -> Iterable[Concern]:
    for at in o.namesakes:
        yield Concern(
            "target.name_taken",
            "Target",
            Severity.WARNING,
            f"A machine called {o.spec.name} is at the target since {at}: there will be two with this name.",
            "Remove the one that is not needed, on its page, or run a test migration.",
            "name",
        )


RULES = (_name,)


def concerns(o: Outlook) -> Iterable[Concern]:
    for row in o.target:
        text = f"{row.text[:1].upper()}{row.text[1:].removesuffix('.')}."
        yield Concern(
            f"target.{row.subject}", "Target", Severity(row.severity.capitalize()), text, "", row.subject
        )
