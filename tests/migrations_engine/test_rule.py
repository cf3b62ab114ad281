"""The language of wave rules."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrations_engine.domain.rule import NUMBERS, WORDS, Both, Compare, Has, Not, RuleError, parse

MACHINE = {
    "name": "Shop-Web-01", "os": "debian", "vcpus": 4, "cpu_p95": 12.5, "memory_p95": None,
    "tag": {"web": "", "stage": "prod"}, "package": {"nginx", "curl"}, "persona": {"webdev"},
}  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "holds"),
    [
        ('os ~ "debian" and tag:web and cpu_p95 < 20', True),
        ("os = DEBIAN", True),
        ("os != debian", False),
        ('name ~ "web" and not package:apache2', True),
        ("tag:stage=prod", True),
        ("tag:stage=test or vcpus >= 4", True),
        ("tag:stage=test or vcpus >= 4 and os = ubuntu", False),
        ("(tag:stage=test or vcpus >= 4) and not (os = ubuntu)", True),
        ('persona:"WebDev"', True),
        ("memory_p95 < 50", False),
        ("memory_p95 >= 50", False),
        ("not memory_p95 < 50", True),
        ('host ~ ""', False),
    ],
)
def test_rule_chooses(rule, holds):
    assert parse(rule).holds(MACHINE) is holds


@pytest.mark.parametrize(
    ("rule", "column", "told"),
    [
        ("", 1, "a test is missing"),
        ("os ~", 5, "a value is missing"),
        ("os debian", 4, "comes one of"),
        ('os ~ "debian', 6, "never closed"),
        ("os < debian", 4, "is a text"),
        ("vcpus ~ 4", 7, "is a number"),
        ("vcpus > many", 9, "“many” is none"),
        ("colour = red", 1, "is no field"),
        ("os = debian vcpus > 2", 13, "join tests with"),
        ("(os = debian", 13, "closing parenthesis"),
        ("os = debian and", 16, "a test is missing"),
        ("os = debian)", 12, "was not expected"),
        ("not " * 40 + "os = a", 125, "levels deep"),
        ("os = a" + " " * 3000, 2000, "at most"),
    ],
)
def test_wrong_rule_is_told_with_its_column(rule, column, told):
    with pytest.raises(RuleError) as error:
        parse(rule)
    assert (error.value.column, told in error.value.message) == (column, True), error.value


PLAIN = st.text("abcdefgh0123456789.-", min_size=1, max_size=8)
TESTS = (
    st.builds(Compare, st.sampled_from(WORDS), st.sampled_from(["=", "!=", "~", "!~"]), PLAIN)
    | st.builds(
        Compare, st.sampled_from(NUMBERS), st.sampled_from(["<", ">=", "="]), st.integers(0, 99).map(float)
    )
    | st.builds(Has, st.sampled_from(["tag", "package", "service", "persona"]), PLAIN)
)
RULES = st.recursive(
    TESTS,
    lambda inner: (
        st.builds(Not, inner) | st.builds(Both, st.sampled_from(["and", "or"]), st.tuples(inner, inner))
    ),
    max_leaves=12,
)


def written(rule) -> str:
    if isinstance(rule, Compare):
        return f'{rule.field} {rule.op} "{rule.value}"'
    if isinstance(rule, Has):
        return f"{rule.kind}:{rule.name}"
    if isinstance(rule, Not):
        return f"not ({written(rule.rule)})"
    return f" {rule.word} ".join(f"({written(part)})" for part in rule.rules)


@given(RULES)
def test_what_is_written_is_read(rule):
    assert parse(written(rule)) == rule


@given(st.text(max_size=60))
def test_any_text_is_a_rule_or_an_error_with_a_column(text):
    try:
        assert parse(text).fields()
    except RuleError as error:
        assert 1 <= error.column <= len(text) + 1
