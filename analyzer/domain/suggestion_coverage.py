"""How complete the data behind a suggestion are, 1 to 5 stars. It is not how sure the suggestion is: a machine of which
little is known may be plain all the same, and one that is known in full may be two things at once."""

from analyzer.domain.facts import Facts

MOST = 5
WHAT_IS_MISSING = {
    "os": "Which system it runs is not known.",
    "packages": "Its installed software could not be read in full.",
    "on purpose": "Which software somebody asked for, and which came along, is not known.",
    "running": "What starts with it and what listens is not known.",
    "usage": "Its use was not measured: its size is taken as it is.",
}


def suggestion_coverage(facts: Facts, *, measured: bool) -> tuple[int, list[str]]:
    """(stars, what is missing in words): one star for each of the five things that a suggestion is made from.
    `measured`: there is usage of the machine."""
    known = {
        "os": bool(facts.os.id),
        "packages": bool(facts.packages) and facts.covered("packages").state != "none",
        "on purpose": any(each.manual is not None for each in facts.packages),
        "running": bool(facts.services or facts.listening),
        "usage": measured,
    }
    missing = [WHAT_IS_MISSING[name] for name, there in known.items() if not there]
    return max(1, MOST - len(missing)), missing
