"""The terms of a run: what goes together, what does not, and who confirms."""

from datetime import UTC, datetime, timedelta

import pytest

from migrations_engine.domain.terms import (
    Commit,
    Mode,
    Terms,
    TermsError,
    confirm_by,
    needs_confirmation,
    terms_of,
)

PASSED, WARNED = {"verdict": "pass"}, {"verdict": "warning"}
TIMED = {"commit": "timed", "confirm_minutes": 5}


def test_nothing_said_is_a_cold_migration_that_commits_at_once():
    assert terms_of({}) == terms_of({"mode": "", "commit": None}) == Terms(Mode.COLD, Commit.AT_ONCE)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"commit": "timed"}, "confirm_minutes"),
        ({"commit": "by_hand", "confirm_minutes": 5}, "confirm_minutes"),
        ({"commit": "timed", "confirm_minutes": 10**6}, "confirm_minutes"),
        ({"checks_confirm": True}, "checks_confirm"),
        ({"mode": "test", "commit": "by_hand"}, "commit"),
        ({"shutdown_minutes": 5}, "shutdown_minutes"),
        ({"mode": "test", "decide_minutes": 5}, "decide_minutes"),
        ({"mode": "cutover", "decide_minutes": 10**6}, "decide_minutes"),
        ({"mode": "hot"}, "mode"),
        ({"on_rollback": "burn"}, "on_rollback"),
    ],
)
def test_terms_that_contradict_each_other_name_what_to_change(given, field):
    with pytest.raises(TermsError) as refused:
        terms_of(given)
    assert refused.value.field == field


def test_limits_that_nobody_set_stand_in_no_receipt():
    assert "decide_minutes" not in Terms().as_dict()
    assert terms_of({"mode": "cutover", "decide_minutes": 5}).as_dict()["decide_minutes"] == 5


@pytest.mark.parametrize(
    ("given", "checks", "asks"),
    [
        ({}, [], False),
        ({"commit": "by_hand"}, [PASSED], True),
        (TIMED, [PASSED], True),
        (TIMED | {"checks_confirm": True}, [PASSED, PASSED], False),
        (TIMED | {"checks_confirm": True}, [PASSED, WARNED], True),
        (TIMED | {"checks_confirm": True}, [], True),
    ],
)
def test_who_is_asked_to_confirm(given, checks, asks):
    assert needs_confirmation(terms_of(given), checks) is asks


def test_deadline_counts_from_the_end_of_the_steps():
    now = datetime(2026, 11, 23, tzinfo=UTC)
    assert confirm_by(terms_of(TIMED), now) == now + timedelta(minutes=5)
    assert confirm_by(Terms(), now) is None
