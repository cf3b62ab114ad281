"""Notices of a persona. Whoever calls has decided already; here it is written down and audited."""

from personas.models import Persona, PersonaNotice
from personas.services.audit import record


def notice_set(
    *, persona: Persona, source: str, text: str, by, action: str = "", blocks: bool = False
) -> PersonaNotice:
    """The notice of that source, written or brought up to date. Call it inside the transaction of the decision."""
    said = {"text": text[:400], "action": action[:400], "blocks": blocks}
    there = persona.notices.filter(source=source).first()
    if there and all(getattr(there, name) == value for name, value in said.items()):
        return there
    notice, _ = persona.notices.update_or_create(source=source, defaults=said)
    record(by=by, action="persona.notice", obj=persona, after={"source": source, **said})
    return notice


def notice_clear(*, persona: Persona, source: str, by) -> None:
    """Clearing what is not there leaves no trace."""
    gone, _ = persona.notices.filter(source=source).delete()
    if gone:
        record(by=by, action="persona.notice_clear", obj=persona, before={"source": source})
