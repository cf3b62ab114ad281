"""Rules that choose machines: `os ~ "debian" and tag:web and cpu_p95 < 20`. Read here, applied here; pure.

    rule   = all { "or" all }                  tags, packages, services, personas:
    all    = one { "and" one }                     tag:web   tag:stage=prod   package:nginx   persona:DatabaseAdmin
    one    = "not" one | "(" rule ")" | test   words:    name host os version source power firmware scan
    test   = field op value | kind ":" word    numbers:  vcpus memory_mib disk_gib cpu_p95 memory_p95 stars
    op     = = != ~ !~ (contains) < <= > >=

Letters count the same in either case. What is not known about a machine makes its test false, whatever the operator.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

WORDS = ("name", "host", "os", "version", "source", "power", "firmware", "scan")
NUMBERS = ("vcpus", "memory_mib", "disk_gib", "cpu_p95", "memory_p95", "stars")
KINDS = ("tag", "package", "service", "persona")
LONGEST, DEEPEST = 2000, 30
TOKEN = re.compile(
    r"""\s*(?:(?P<text>"[^"]*")|(?P<op>!=|!~|<=|>=|[=~<>])|(?P<paren>[()])"""
    r"""|(?P<kind>(?i:tag|package|service|persona)):(?P<of>[^\s()="]+|"[^"]*")(?:=(?P<is>[^\s()="]+|"[^"]*"))?"""
    r"""|(?P<word>[^\s()=!~<>"]+))"""
)
COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda found, asked: found == asked,
    "!=": lambda found, asked: found != asked,
    "~": lambda found, asked: asked in found,
    "!~": lambda found, asked: asked not in found,
    "<": lambda found, asked: found < asked,
    "<=": lambda found, asked: found <= asked,
    ">": lambda found, asked: found > asked,
    ">=": lambda found, asked: found >= asked,
}


class RuleError(ValueError):
    """`column` counts from 1."""

    def __init__(self, column: int, message: str):
        super().__init__(f"column {column}: {message}")
        self.column, self.message = column, message


@dataclass(frozen=True)
class Compare:
    field: str
    op: str
    value: str | float

    def holds(self, machine: Mapping[str, Any]) -> bool:
        found = machine.get(self.field)
        if found in (None, ""):
            return False
        return COMPARE[self.op](found.casefold() if isinstance(self.value, str) else found, self.value)

    def fields(self) -> frozenset[str]:
        return frozenset({self.field})


@dataclass(frozen=True)
class Has:
    """`machine[kind]` maps names to values (tags) or holds names. All in lower case."""

    kind: str
    name: str
    value: str | None = None

    def holds(self, machine: Mapping[str, Any]) -> bool:
        found = machine.get(self.kind) or ()
        if self.value is None:
            return self.name in found
        return isinstance(found, Mapping) and found.get(self.name) == self.value

    def fields(self) -> frozenset[str]:
        return frozenset({self.kind})


@dataclass(frozen=True)
class Not:
    rule: "Rule"

    def holds(self, machine: Mapping[str, Any]) -> bool:
        return not self.rule.holds(machine)

    def fields(self) -> frozenset[str]:
        return self.rule.fields()


@dataclass(frozen=True)
class Both:
    """All of them (`and`), or any (`or`)."""

    word: str
    rules: tuple["Rule", ...]

    def holds(self, machine: Mapping[str, Any]) -> bool:
        every = (rule.holds(machine) for rule in self.rules)
        return all(every) if self.word == "and" else any(every)

    def fields(self) -> frozenset[str]:
        return frozenset().union(*(rule.fields() for rule in self.rules))


Rule = Compare | Has | Not | Both


@dataclass(frozen=True)
class Token:
    kind: str
    text: str
    column: int
    of: str = ""
    value: str | None = None


def parse(text: str) -> Rule:
    """Raises RuleError that names the column."""
    if len(text) > LONGEST:
        raise RuleError(LONGEST, f"a rule has at most {LONGEST} characters")
    reader = _Reader(_tokens(text), len(text) + 1)
    rule = reader.rule(0)
    if left := reader.peek():
        raise RuleError(left.column, f"“{left.text}” was not expected here; join tests with and, or")
    return rule


def _tokens(text: str) -> list[Token]:
    found, at = [], 0
    while text[at:].strip():
        match = TOKEN.match(text, at)
        begin = at + len(text[at:]) - len(text[at:].lstrip()) + 1
        if match is None:
            raise RuleError(begin, "this quotation mark is never closed" if text[begin - 1] == '"' else
                            f"“{text[begin - 1]}” is not understood here")  # fmt: skip
        kind = next(name for name in ("text", "op", "paren", "kind", "word") if match[name])
        said = match[0].strip()
        found.append(Token(kind, said, begin, _plain(match["of"] or ""), match["is"] and _plain(match["is"])))
        at = match.end()
    return found


def _plain(text: str) -> str:
    return text.strip('"').casefold()


class _Reader:
    """Recursive descent, one method for each line of the grammar."""

    def __init__(self, tokens: list[Token], end: int):
        self.tokens, self.at, self.end = tokens, 0, end

    def peek(self) -> Token | None:
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def take(self, wanted: str) -> Token:
        token = self.peek()
        if token is None:
            raise RuleError(self.end, f"{wanted} is missing at the end")
        self.at += 1
        return token

    def _is(self, word: str) -> bool:
        token = self.peek()
        return token is not None and token.kind == "word" and token.text.casefold() == word

    def rule(self, depth: int) -> Rule:
        return self._joined("or", lambda: self._joined("and", lambda: self._one(depth)))

    def _joined(self, word: str, part: Callable[[], Rule]) -> Rule:
        parts = [part()]
        while self._is(word):
            self.at += 1
            parts.append(part())
        return parts[0] if len(parts) == 1 else Both(word, tuple(parts))

    def _one(self, depth: int) -> Rule:
        token = self.take("a test")
        if depth > DEEPEST:
            raise RuleError(token.column, f"more than {DEEPEST} levels deep")
        if token.kind == "kind":
            return Has(token.text.partition(":")[0].casefold(), token.of, token.value)
        if token.kind == "word" and token.text.casefold() == "not":
            return Not(self._one(depth + 1))
        if token.text == "(":
            inner = self.rule(depth + 1)
            closing = self.take("a closing parenthesis")
            if closing.text != ")":
                raise RuleError(closing.column, f"a closing parenthesis is missing before “{closing.text}”")
            return inner
        return self._compare(token)

    def _compare(self, token: Token) -> Rule:
        field = token.text.casefold()
        if token.kind != "word" or field not in (*WORDS, *NUMBERS):
            known = ", ".join([*WORDS, *NUMBERS, *(f"{kind}:…" for kind in KINDS)])
            raise RuleError(token.column, f"“{token.text}” is no field; there are {known}")
        op = self.take("an operator")
        if op.kind != "op":
            raise RuleError(op.column, f"after {field} comes one of = != ~ !~ < <= > >=, not “{op.text}”")
        return Compare(field, op.text, self._value(field, op))

    def _value(self, field: str, op: Token) -> str | float:
        token = self.take("a value")
        if token.kind not in ("word", "text"):
            raise RuleError(token.column, f"a value is missing before “{token.text}”")
        if field in WORDS:
            if op.text not in ("=", "!=", "~", "!~"):
                raise RuleError(op.column, f"{field} is a text: it takes = != ~ !~")
            return _plain(token.text)
        if op.text in ("~", "!~"):
            raise RuleError(op.column, f"{field} is a number: it takes = != < <= > >=")
        try:
            return float(_plain(token.text))
        except ValueError:
            raise RuleError(token.column, f"{field} is a number; “{token.text}” is none") from None
