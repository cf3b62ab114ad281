"""What a release has to bring along besides being valid: words for those who choose it, and no surprises."""

from marketplace.domain.bundle import Bundle
from marketplace.domain.finding import Finding
from marketplace.domain.manifest import manifest
from marketplace.domain.persona_tests import failed_tests
from marketplace.domain.secrets import secrets_in
from personas.domain.scripts import BadParameters, environment


def findings(bundle: Bundle) -> list[Finding]:
    """All that can be said without running anything else."""
    about = bundle.about
    summary, readme = (about.summary, about.readme) if about else ("", "")
    words = word_findings(summary=summary or bundle.persona.description, readme=readme)
    doubts = [*_changes(bundle), *_doubts(bundle), *_given(bundle)]
    return [*words, *doubts, *failed_tests(bundle), *secrets_in(bundle)]


def word_findings(*, summary: str, readme: str):
    if not summary:
        yield Finding("lint", "error", "summary", 0, "Say in one sentence for whom it is and what it does.")
    if not readme:
        yield Finding(
            "lint",
            "error",
            "readme",
            0,
            "Write a read me: what it expects, and what it changes.",
        )


def _changes(bundle: Bundle):
    if not bundle.changelog:
        yield Finding("lint", "warning", "changelog", 0, "Nothing is said of what is new.")


def _doubts(bundle: Bundle):
    if not bundle.persona.settings.keys() - {"schema_version"}:
        yield Finding("lint", "error", "persona", 0, "The persona says nothing: there is nothing to share.")
    if not bundle.tests:
        yield Finding("lint", "warning", "tests", 0, "It has no tests of its own.")
    for permission in manifest(bundle):
        if permission.is_grave and permission.kind == "port":
            yield Finding("lint", "warning", "persona", 0, f"It {permission.text}.")


def _given(bundle: Bundle):
    """What a script is given must be what it asks for; what nobody says is told here, and asked at an installation."""
    for script, entry in bundle.runs:
        place, declared = bundle.place_of(script), script.parameters or []
        given, secrets = entry.get("parameters") or {}, entry.get("secrets") or {}
        for parameter in script.left_open(entry):
            text = f"Nothing is given for its parameter {parameter.name}: whoever installs it is asked."
            yield Finding("lint", "warning", place, 0, text)
        try:
            environment([each.model_copy(update={"required": False}) for each in declared], given, secrets)
        except BadParameters as error:
            yield from (Finding("lint", "error", place, 0, problem) for problem in error.problems)
