"""The size that a machine's use asks for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.domain.sizing import (
    CPU,
    MEMORY,
    Policy,
    Sized,
    Trace,
    Unsized,
    chosen_size,
    growth_of,
    weekly_maxima,
)

HOUR = 3600
START = 1_700_000_000
BARE = Policy(deepest_cut=1.0, headroom=1.0)  # what the use alone asks for


def trace(used, capacity=100.0, step_s=HOUR) -> Trace:
    used = np.asarray(used, dtype=float)
    return Trace(
        START + step_s * np.arange(len(used)), used, np.broadcast_to(np.asarray(capacity, float), used.shape)
    )


def sized(used, policy=BARE, **kwargs) -> Sized:
    found = chosen_size(trace(used, **kwargs), policy)
    assert isinstance(found, Sized), found
    return found


def test_a_steady_machine_gets_its_percentile_with_headroom():
    found = sized([20.0] * 24 * 28, Policy(deepest_cut=1.0, headroom=1.5))
    assert found.size == pytest.approx(30)
    assert found.saving == pytest.approx(0.7)
    assert found.above_share == 0


def test_the_percentile_is_the_departments():
    used = np.tile(
        np.arange(100.0), 10
    )  # P50 = 49.5; each week has the peak of 99, which the growth leaves alone
    wishes = sized(used, Policy(percentile=50, headroom=1, deepest_cut=1)).wishes
    assert wishes["percentile"] == pytest.approx(49.5)


def test_a_weekly_peak_counts_and_a_single_one_does_not():
    weekly, single = np.full(24 * 42, 10.0), np.full(24 * 42, 10.0)
    weekly[24 * 7 - 5 :: 24 * 7] = 60
    single[500] = 60
    assert sized(weekly).size == pytest.approx(60)
    assert sized(weekly).decided_by == "returning_peak"
    assert sized(single).size == pytest.approx(10)
    assert sized(single).above_share == pytest.approx(1 / len(single))


def test_samples_from_before_the_last_resize_say_nothing():
    before, after = [90.0] * 24 * 20, [10.0] * 24 * 20
    capacity = np.r_[np.full(len(before), 100.0), np.full(len(after), 50.0)]
    found = sized(before + after, capacity=capacity)
    assert (found.size, found.capacity, found.samples) == (pytest.approx(10), 50, len(after))


def test_a_capacity_that_wanders_by_a_few_percent_is_no_resize():
    capacity = np.where(np.arange(24 * 20) % 2, 100.0, 96.0)
    assert sized([10.0] * 24 * 20, capacity=capacity).samples == 24 * 20


def test_samples_from_before_the_window_say_nothing():
    used = [80.0] * 24 * 20 + [10.0] * 24 * 20
    assert sized(used, Policy(window_days=14, deepest_cut=1, headroom=1)).size == pytest.approx(10)


def test_a_growing_machine_keeps_its_size_but_is_not_enlarged():
    used = np.linspace(5, 60, 24 * 28)
    found = sized(used)
    assert (found.decided_by, found.size) == ("growth", 100)


def test_a_little_growth_is_noise():
    assert "growth" not in sized(np.linspace(40, 44, 24 * 28)).wishes


def test_a_machine_at_its_limit_is_enlarged():
    used = np.where(np.arange(24 * 28) % 24 < 2, 100.0, 10.0)
    assert sized(used).size == pytest.approx(115)
    assert sized(used).decided_by == "full"
    assert sized(used).saving < 0


def test_memory_that_was_lent_and_used_is_not_cut_away():
    used, capacity = np.full(24 * 28, 10.0), np.full(24 * 28, 100.0)
    capacity[:100], used[50] = 60, 300
    assert sized(used, capacity=capacity).decided_by == "overdrawn"
    assert sized(used, capacity=capacity).size == 100


def test_a_quiet_machine_is_not_cut_deeper_than_allowed():
    found = sized([1.0] * 24 * 28, Policy(deepest_cut=0.4))
    assert (found.decided_by, found.size) == ("deepest_cut", pytest.approx(60))


def test_the_departments_minimum_holds():
    assert sized([1.0] * 24 * 28, Policy(deepest_cut=1, minimum=25)).size == 25


def test_sizes_are_lifted_to_the_next_step_and_not_further():
    assert sized([21.0] * 24 * 28, Policy(deepest_cut=1, headroom=1, step=10)).size == 30
    assert sized([30.0] * 24 * 28, Policy(deepest_cut=1, headroom=1, step=10)).size == 30


@pytest.mark.parametrize(
    "used, capacity, reason",
    [
        ([], 100.0, "nothing was measured"),
        ([np.nan] * 500, 100.0, "nothing was measured"),
        ([5.0] * 500, 0.0, "nothing was measured"),
        ([5.0] * 24 * 3, 100.0, "3.0 days altogether; 7 are needed"),
        (
            [5.0] * 24 * 20,
            np.r_[np.full(24 * 18, 50.0), np.full(24 * 2, 100.0)],
            "2.0 days since its last resize",
        ),
    ],
)
def test_thin_coverage_is_refused_with_its_reason(used, capacity, reason):
    found = chosen_size(trace(used, capacity=capacity), CPU)
    assert isinstance(found, Unsized)
    assert reason in found.reason


def test_gaps_are_refused_when_most_is_missing():
    t_s = np.r_[np.arange(100) * HOUR, 30 * 86_400 + np.arange(100) * HOUR].astype(float)
    found = chosen_size(Trace(t_s, np.full(200, 5.0), np.full(200, 10.0)), CPU)
    assert isinstance(found, Unsized)
    assert "only 24% of the time was measured" in found.reason


def test_memory_leaves_less_room_for_rare_peaks_than_cpu():
    used = np.full(24 * 28, 65.0)
    used[:4] = 90  # 0.6 % of the time, in one week
    assert (
        chosen_size(trace(used), MEMORY).wishes["percentile"]
        > chosen_size(trace(used), CPU).wishes["percentile"]
    )


def test_an_idle_machine_does_not_grow_from_nothing_to_next_to_nothing():
    assert growth_of(trace([0.0] * 300 + [0.1] * 300)) == pytest.approx(1.1)


def test_weeks_are_counted_back_from_the_newest_sample():
    used = np.zeros(24 * 10)
    used[0], used[-1] = 3, 5
    assert weekly_maxima(trace(used)).tolist() == [3, 5]


@pytest.mark.parametrize(
    "wrong", [{"percentile": 40}, {"headroom": 0.5}, {"deepest_cut": 1.5}, {"window_days": 0}]
)
def test_a_policy_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Policy(**wrong)


@given(st.lists(st.floats(0, 200), min_size=24 * 7, max_size=24 * 8), st.sampled_from([2.0**-10, 2.0**20]))
def test_a_size_does_not_depend_on_the_unit(used, factor):
    plain, scaled = sized(used), sized(np.asarray(used) * factor, capacity=100.0 * factor)
    assert scaled.size == pytest.approx(plain.size * factor, rel=1e-6)


@given(st.lists(st.floats(0, 200), min_size=24 * 7, max_size=24 * 8))
def test_a_size_is_never_below_the_percentile_nor_the_deepest_cut(used):
    found = sized(used, Policy(headroom=1))
    assert found.size >= np.percentile(used, 99)
    assert found.size >= 60 - 1e-9
    assert found.size == max(found.wishes.values())
