"""Slots, percentiles, thinning and CSV: pure."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.domain.usage import DAY_S, Day, buckets, laid_over, nearest_step, percentile, slotted, summarise
from analyzer.domain.usage_csv import InvalidCsv, parse_csv

NOW = 1_700_000_000


def day(values, step_s=3600, number=0):
    return Day(number, step_s, list(values) + [None] * (DAY_S // step_s - len(values)))


def test_percentile_interpolates_between_the_nearest_ranks():
    assert percentile([1, 2, 3, 4], 0.5) == 2.5
    assert percentile([10, 20], 0.95) == pytest.approx(19.5)
    assert percentile([7], 0.99) == 7


@given(st.lists(st.floats(0, 100), min_size=1), st.floats(0, 1))
def test_percentile_lies_between_minimum_and_maximum(values, share):
    values.sort()
    assert values[0] <= percentile(values, share) <= values[-1] + 1e-9


def test_summary_counts_a_gap_against_coverage():
    summary = summarise([day([10, None, 30, 40])])
    assert summary.coverage == 0.75
    assert (summary.samples, summary.maximum, summary.mean) == (3, 40, pytest.approx(80 / 3))
    assert (summary.first_s, summary.last_s) == (0, 4 * 3600)


def test_nothing_measured_has_no_summary():
    assert summarise([]) is None
    assert summarise([day([])]) is None


def test_days_of_different_steps_count_by_time():
    coarse, fine = day([100] * 24, 3600, 0), day([0] * 48, 1800, 1)
    assert summarise([coarse, fine]).mean == 50


def test_a_week_of_everything_has_five_stars_and_an_hour_has_one():
    assert summarise([day([1] * 24, number=n) for n in range(7)]).stars == 5
    assert summarise([day([1])]).stars == 1


def test_values_of_one_slot_give_their_mean():
    assert slotted([(10, 1.0), (20, 3.0), (70, 5.0)], 60)[0][:2] == [2.0, 5.0]


def test_samples_around_midnight_fall_into_their_days():
    found = slotted([(DAY_S - 1, 1.0), (DAY_S, 2.0)], 3600)
    assert found[0][-1] == 1.0
    assert found[1][0] == 2.0


@given(st.lists(st.none() | st.floats(0, 100), min_size=24, max_size=24))
def test_the_same_push_twice_changes_nothing(values):
    once = laid_over([None] * 24, 3600, values, 3600)
    assert laid_over(*once, values, 3600) == once


def test_a_finer_push_keeps_what_it_does_not_tell():
    slots, step_s = laid_over([5.0] * 24, 3600, [None] * 47 + [9.0], 1800)
    assert step_s == 1800
    assert slots == [5.0] * 47 + [9.0]


def test_the_step_is_read_off_times_with_jitter():
    assert nearest_step([0, 301, 599, 902, 5000]) == 300
    assert nearest_step([7]) == 300


def test_a_thinned_chart_keeps_the_peak_and_the_gap():
    values = [1.0] * 1440
    values[700] = 99.0
    values[0:144] = [None] * 144
    found = buckets([Day(0, 60, values)], 0, DAY_S, 10)
    assert len(found) == 10
    assert (found[0].minimum, found[0].mean, found[0].maximum) == (None, None, None)
    assert max(bucket.maximum for bucket in found[1:]) == 99.0
    assert found[4].minimum == 1.0


def test_buckets_are_never_finer_than_what_was_measured():
    assert len(buckets([day([1.0] * 24)], 0, DAY_S, 1000)) == 24


def test_csv_takes_iso_with_and_without_zone_and_epoch():
    text = "t,cpu_percent\n2023-11-01T00:00:00Z,1\n2023-11-01 01:00,2\n1698804000,3\n"
    assert [value for _, value in parse_csv(text, latest_s=NOW)["cpu_percent"]] == [1.0, 2.0, 3.0]
    times = [at for at, _ in parse_csv(text, latest_s=NOW)["cpu_percent"]]
    assert times == [1698796800, 1698800400, 1698804000]


def test_csv_from_a_spreadsheet_has_a_mark_and_semicolons():
    assert parse_csv("\ufefft;memory_percent\r\n1690000000;12.5\r\n", latest_s=NOW) == {
        "memory_percent": [(1690000000, 12.5)]
    }


def test_an_empty_cell_says_nothing():
    assert parse_csv("t,cpu_percent,net_in_mbps\n1690000000,,3\n", latest_s=NOW) == {
        "net_in_mbps": [(1690000000, 3.0)]
    }


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("", (1, "t")),
        ("t\n1690000000\n", (1, "")),
        ("t,load\n1690000000,1\n", (1, "load")),
        ("t,cpu_percent,cpu_percent\n1690000000,1,2\n", (1, "cpu_percent")),
        ("t,cpu_percent\n", (1, "")),
        ("t,cpu_percent\nyesterday,1\n", (2, "t")),
        ("t,cpu_percent\n1990000000,1\n", (2, "t")),
        ("t,cpu_percent\nnan,1\n", (2, "t")),
        ("t,cpu_percent\n1690000000,101\n", (2, "cpu_percent")),
        ("t,cpu_percent\n1690000000,inf\n", (2, "cpu_percent")),
        ("t,cpu_percent\n1690000000,a lot\n", (2, "cpu_percent")),
        ("t,cpu_percent\n1690000000\n", (2, "")),
        ("t,net_in_mbps\n1690000000,-1\n", (2, "net_in_mbps")),
    ],
)
def test_csv_tells_row_and_column_of_what_is_wrong(text, where):
    with pytest.raises(InvalidCsv) as told:
        parse_csv(text, latest_s=NOW)
    assert told.value.errors[0][:2] == where


def test_csv_tells_every_wrong_row_at_once_but_not_for_ever():
    rows = "".join(f"1690000{n:03},wrong\n" for n in range(900))
    with pytest.raises(InvalidCsv) as told:
        parse_csv("t,cpu_percent\n" + rows, latest_s=NOW)
    assert len(told.value.errors) == 50
    assert [row for row, _, _ in told.value.errors[:3]] == [2, 3, 4]


def test_csv_with_too_many_rows_is_refused(monkeypatch):
    monkeypatch.setattr("analyzer.domain.usage_csv.MAX_ROWS", 2)
    with pytest.raises(InvalidCsv, match="one too many"):
        parse_csv("t,cpu_percent\n1,1\n" + "1690000000,1\n" * 3, latest_s=NOW)
