"""What template and persona ask for that does not exist, is locked, held back or not approved."""

from collections.abc import Iterable

from migrations_engine.domain.concerns.outlook import Concern, Outlook, Severity


def _unknown(o: Outlook) -> Iterable[Concern]:
    for what, name in o.unknown:
        yield Concern(
            f"{what.replace(' ', '_')}.unknown",
            "Settings",
            Severity.CRITICAL,
            f"No {what} is called {name!r}.",
            "Create it, or take it out of the template, persona or override that names it.",
            what,
        )
    for refusal in o.refused:
        yield Concern(
            "settings.locked",
            "Settings",
            Severity.WARNING,
            f"{refusal['path']} is locked by the template; what {refusal['layer']} says is not used.",
            "Take the lock off in the template where the persona should win.",
            refusal["path"],
        )
    if not o.has_persona:
        yield Concern(
            "persona.none",
            "Settings",
            Severity.INFORMATION,
            "No persona takes part; the template alone decides.",
        )


def _notices(o: Outlook) -> Iterable[Concern]:
    for notice in o.notices:
        yield Concern(
            "persona.blocked" if notice["blocks"] else "persona.notice",
            "Persona",
            Severity.CRITICAL if notice["blocks"] else Severity.WARNING,
            f"{notice['persona']}: {notice['text']}",
            notice["action"],
            "persona",
        )


def _approvals(o: Outlook) -> Iterable[Concern]:
    for script in o.scripts:
        if not script.get("approved", True):
            yield Concern(
                "script.unapproved",
                "Scripts",
                Severity.CRITICAL,
                f"The script {script['name']} comes from the marketplace, and nobody has approved this text yet.",
                "An admin of the department, other than who published it, reads and approves it on its page.",
                "post_migration.scripts",
            )


RULES = (_unknown, _notices, _approvals)
