"""What would have to go from a machine for another answer."""

import numpy as np
import pytest

from analyzer.domain.learned_ranking import smallest_change
from analyzer.domain.learner import NONE, Model, Scorer
from tests.analyzer.test_learner import ALL, machine

SCORER = Scorer(Model(), ALL)


def change(persona, *names):
    return smallest_change(persona, machine(*names), SCORER, np.ones(len(ALL) + 1))


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (("php8.2-fpm", "redis-server"), (("php8.2-fpm",), "db")),  # redis is louder, and is not what decides
        (("nginx", "php8.2-fpm", "redis-server"), (("nginx", "php8.2-fpm"), "db")),
        (("nginx", "haproxy", "certbot"), (("nginx",), NONE)),
        (("nginx",), (("nginx",), NONE)),
    ],
)
def test_only_what_has_to_go_is_named(names, found):
    assert change("web", *names) == found


def test_nothing_flips_what_is_not_the_answer():
    assert change("db", "nginx") is None and change("web", "stellarium") is None
