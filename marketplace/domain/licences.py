"""Whether a licence lets somebody change what he got and go his own way with it."""

import re

NO_DERIVATIVES = re.compile(r"(^|-)ND(-|$)")


def allows_derivatives(expression: str) -> bool:
    """Of an SPDX expression in canonical form: one choice of an OR is enough, all parts of an AND are needed. The SPDX
    list has public licences; of those, the ND ones of Creative Commons forbid it. A LicenseRef is a text of its own, of
    which nothing is known: no."""
    tokens = re.findall(r"[()]|[^\s()]+", expression)
    answer, rest = _either(tokens)
    return answer and not rest


def _either(tokens: list[str]) -> tuple[bool, list[str]]:
    answer, rest = _both(tokens)
    while rest and rest[0] == "OR":
        other, rest = _both(rest[1:])
        answer = answer or other
    return answer, rest


def _both(tokens: list[str]) -> tuple[bool, list[str]]:
    answer, rest = _one(tokens)
    while rest and rest[0] in ("AND", "WITH"):
        other, rest = _one(rest[1:]) if rest[0] == "AND" else (True, rest[2:])
        answer = answer and other
    return answer, rest


def _one(tokens: list[str]) -> tuple[bool, list[str]]:
    if tokens and tokens[0] == "(":
        answer, rest = _either(tokens[1:])
        return answer, rest[1:]
    name = tokens[0] if tokens else "LicenseRef-none"
    return not (name.startswith("LicenseRef-") or NO_DERIVATIVES.search(name)), tokens[1:]
