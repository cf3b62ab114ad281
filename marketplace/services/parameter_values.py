"""What a department gives for the parameters that a release's publisher left open."""

from collections.abc import Mapping
from typing import Any

from personas.domain.scripts import Parameter, misfit
from personas.errors import BadInput


def values_checked(
    *, asked: Mapping[str, Parameter], given: Mapping[str, Any], before: Mapping[str, Any]
) -> dict[str, Any]:
    """{script.VARIABLE: value} of all that is `asked`, as the department says now or has said before. Raises BadInput,
    at `parameters.script.VARIABLE`."""
    problems = {name: "It asks for no such parameter." for name in given if name not in asked}
    said = {**before, **given}
    for name, parameter in asked.items():
        value = said.get(name)
        if value is None:
            problems[name] = "Its publisher has left this to you: give it a value."
        elif wrong := misfit(parameter, value):
            problems[name] = f"It {wrong}."
    if problems:
        raise BadInput({f"parameters.{name}": [told] for name, told in problems.items()})
    return {name: said[name] for name in asked}


def stand_ins(asked: Mapping[str, Parameter]) -> dict[str, Any]:
    """A value of the right kind for each, for a look at what it would be."""
    kinds = {"integer": 1, "boolean": True, "string": "…"}
    return {name: each.choices[0] if each.choices else kinds[each.kind] for name, each in asked.items()}
