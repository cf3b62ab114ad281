"""A persona's own tests: with this template, and on a machine with this software, it comes to these settings."""

from typing import Any

from analyzer.domain.software import head
from marketplace.domain.bundle import Bundle, PersonaTest
from marketplace.domain.finding import Finding
from personas.domain.settings import InvalidSettings
from templates_app.domain.layers import Kind, Layer
from templates_app.domain.merge import merge


def failed_tests(bundle: Bundle) -> list[Finding]:
    return [
        Finding("tests", "error", "tests", 0, f"{test.name}: {told}")
        for test in bundle.tests or []
        for told in _failures(bundle, test)
    ]


def _failures(bundle: Bundle, test: PersonaTest) -> list[str]:
    try:
        settings = merge(_layers(bundle, test), _driver_sets(bundle)).settings
    except InvalidSettings as error:
        return [f"the merge fails: {line}" for line in error.lines()]
    expected = [
        f"{path} is {_at(settings, path)!r}, expected is {value!r}"
        for path, value in test.expect.items()
        if _at(settings, path) != value
    ]
    return expected + _suggestion(bundle, test)


def _layers(bundle: Bundle, test: PersonaTest) -> list[Layer]:
    template = Layer(Kind.TEMPLATE, "test", document=test.template)
    return [template, Layer(Kind.PERSONA, bundle.persona.name, document=bundle.persona.settings)]


def _driver_sets(bundle: Bundle) -> dict[str, list]:
    drivers = bundle.driver_set
    return {drivers.slug: [driver.model_dump() for driver in drivers.drivers]} if drivers else {}


def _suggestion(bundle: Bundle, test: PersonaTest) -> list[str]:
    """Whether a hint of the persona names software of the machine, versions aside."""
    if test.suits is None:
        return []
    met = {head(hint) for hint in bundle.persona.hints} & {head(name) for name in test.software}
    if bool(met) == test.suits:
        return []
    return [
        "no hint names its software" if test.suits else f"{', '.join(sorted(met))} speaks for it all the same"
    ]


def _at(settings: dict[str, Any], path: str) -> Any:
    found: Any = settings
    for key in path.split("."):
        found = found.get(key) if isinstance(found, dict) else None
    return found
