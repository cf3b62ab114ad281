"""The rhythm of a machine, on curves whose rhythm is known."""

import random

import pytest

from analyzer.domain.rhythm import Rhythm, hourly, rhythm_of
from analyzer.domain.usage import Day

MONDAY = 20_451  # 2025-12-29


def curve(value, days=28, step_s=300) -> list[Day]:
    """`value(day, hour)`, with a little noise; day 0 is a Monday."""
    noise = random.Random(1)
    slots = 86_400 // step_s
    return [
        Day(
            MONDAY + day,
            step_s,
            [max(0, value(day, slot * 24 // slots) + noise.random()) for slot in range(slots)],
        )
        for day in range(days)
    ]


def office(day, hour):
    return 40 if 8 <= hour < 18 else 5


def test_an_office_server_is_busy_by_day():
    found = rhythm_of(curve(office), percent=True)
    assert found.daily > 0.9 and (found.busy_from, found.busy_to) == (8, 18)
    assert found.words() == ["The same every day: busiest from 8:00 to 18:00 UTC."]


def test_quiet_weekends_are_told():
    found = rhythm_of(curve(lambda day, hour: office(day, hour) if day % 7 < 5 else 5), percent=True)
    assert found.weekly > found.daily and found.weekend_share < 0.4
    assert any("Quiet at weekends" in text for text in found.words())


def test_a_weekly_backup_is_a_weekly_rhythm():
    found = rhythm_of(curve(lambda day, hour: 80 if day % 7 == 2 and hour < 6 else 10), percent=True)
    assert "The same every week." in found.words()


def test_a_night_job_is_busy_around_midnight():
    found = rhythm_of(curve(lambda day, hour: 50 if hour >= 22 or hour < 3 else 2), percent=True)
    assert (found.busy_from, found.busy_to) == (22, 3)


def test_steady_noise_has_no_rhythm():
    noise = random.Random(7)
    found = rhythm_of(curve(lambda day, hour: 20 + 5 * noise.random()), percent=True)
    assert found.words() == []


def test_idle_and_bursts_are_told():
    found = rhythm_of(
        curve(
            lambda day, hour: (
                90 if (day, hour) in {(3, 4), (9, 1), (9, 2), (20, 9), (22, 5), (23, 1), (25, 2)} else 0.5
            )
        ),
        percent=True,
    )
    assert found.idle_share > 0.95 and found.burst > 3
    assert any("Idle" in text for text in found.words()) and any("bursts" in text for text in found.words())


def test_a_rate_is_never_idle():
    assert rhythm_of(curve(lambda day, hour: 0.1), percent=False).idle_share is None


@pytest.mark.parametrize(("slope", "word"), [(1.0, "Grows"), (-1.0, "Falls")])
def test_a_trend_is_told_and_one_busy_day_is_none(slope, word):
    found = rhythm_of(curve(lambda day, hour: 50 + slope * day), percent=True)
    assert any(text.startswith(word) for text in found.words())
    one_day = rhythm_of(curve(lambda day, hour: 99 if day == 27 else 50), percent=True)
    assert abs(one_day.trend_per_month) < 0.01


def test_what_was_measured_too_shortly_or_is_flat_says_nothing():
    assert rhythm_of([], percent=True) == Rhythm() == rhythm_of(curve(office, days=2), percent=True)
    flat = [Day(MONDAY + day, 3600, [7.0] * 24) for day in range(28)]
    assert rhythm_of(flat, percent=True).daily is None


def test_gaps_and_steps_of_different_length_are_one_curve():
    days = [Day(MONDAY, 3600, [1.0] * 24), Day(MONDAY + 2, 300, [None] * 144 + [3.0] * 144)]
    found = hourly(days)
    assert (
        list(found[:24]) == [1.0] * 24
        and all(found[24:60] != found[24:60])
        and list(found[60:]) == [3.0] * 12
    )
