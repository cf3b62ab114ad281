"""When the next machine of a wave may start."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrations_engine.domain.waves import (
    Limits,
    Load,
    Window,
    forecast_s,
    round_robin,
    why_not,
    window_refuses,
)

NOW = datetime(2026, 11, 23, 22, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
NIGHT = Window(NOW - HOUR, NOW + 2 * HOUR)


@pytest.mark.parametrize(
    ("limits", "load", "told"),
    [
        (Limits(2), Load(1, 9, 9), ""),
        (Limits(2), Load(2), "its limit"),
        (Limits(9, source=1), Load(1, source=1), "its source"),
        (Limits(9, target=1), Load(1, target=1), "its target"),
        (Limits(9, bandwidth_mbps=100), Load(1, demand_mbps=60), "60 of 100"),
        (Limits(9, bandwidth_mbps=10), Load(0), ""),  # the first one may always start
    ],
)
def test_limits(limits, load, told):
    found = why_not(limits, load, demand_mbps=50)
    assert (told in found) if told else found == ""


@pytest.mark.parametrize(
    ("windows", "now", "minutes", "told"),
    [
        ([], NOW, 10**6, ""),
        ([NIGHT], NOW, 119, ""),
        ([NIGHT], NOW, 121, "the window closes at 00:00"),
        ([NIGHT], NOW + 3 * HOUR, 1, "its last window is over"),
        ([NIGHT], NOW - 2 * HOUR, 1, "opens at 2026-11-23 21:00"),
        ([Window(NIGHT.starts_at, NIGHT.ends_at, weekly=True)], NOW + timedelta(days=14), 60, ""),
        (
            [Window(NIGHT.starts_at, NIGHT.ends_at, weekly=True)],
            NOW + 3 * HOUR,
            1,
            "opens at 2026-11-30 21:00",
        ),
        ([NIGHT, Window(NOW, NOW + 5 * HOUR)], NOW, 200, ""),
    ],
)
def test_nothing_starts_that_does_not_fit_its_window(windows, now, minutes, told):
    found = window_refuses(windows, now, minutes * 60)
    assert (told in found) if told else found == ""


def test_forecast_grows_with_the_disk_and_never_shrinks_below_the_usual():
    history = [(10, 100.0), (10, 110.0), (10, 120.0), (10, 130.0), (10, 140.0)]
    assert forecast_s(10, history) == forecast_s(1, history) == pytest.approx(132)
    assert forecast_s(20, history) == pytest.approx(264)
    assert forecast_s(50 * 2**20, history[:2]) == 601


@given(
    st.dictionaries(st.sampled_from("abcd"), st.integers(0, 30)),
    st.dictionaries(st.sampled_from("abcd"), st.integers(0, 30)),
)
def test_turns_are_fair_and_complete(queues, at_work):
    turns = round_robin(queues, at_work)
    assert Counter(turns) == Counter({name: n for name, n in queues.items() if n})
    load = {name: at_work.get(name, 0) for name in queues}
    for at, name in enumerate(turns):
        waiting = set(turns[at:])
        assert load[name] == min(load[other] for other in waiting)
        load[name] += 1


def test_one_of_a_small_department_does_not_wait_for_five_hundred_of_a_large_one():
    assert "small" in round_robin({"large": 500, "small": 1}, {"large": 1})[:1]
