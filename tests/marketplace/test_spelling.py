"""Which word somebody meant is found among the words of names, and nowhere else."""

import pytest

from marketplace.domain.spelling import closest_word

NAMES = ["Tuned database", "Web server, hardened", "Mail"]


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("databse", "database"),
        ("DATABAES", "database"),
        ("sever", "server"),
        ("hardend", "hardened"),
        ("mial", "mail"),
    ],
)
def test_a_slip_becomes_the_nearest_word(word, meant):
    assert closest_word(word, NAMES) == meant


@pytest.mark.parametrize("word", ["Oracle", "xyz", ""])
def test_what_is_like_nothing_stays_what_it_is(word):
    assert closest_word(word, NAMES) == word


def test_without_names_nothing_is_meant():
    assert closest_word("Databse", []) == "Databse"
