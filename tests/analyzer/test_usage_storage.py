"""Usage in few bytes, and only as long as it is needed."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.domain.usage import DAY_S, HOUR_S, coarser
from analyzer.domain.usage_codec import ABSOLUTE_ERROR, LARGEST, RELATIVE_ERROR, packed, unpacked
from analyzer.models import UsageSeries
from analyzer.services.usage import usage_store, usage_summary, usage_upload
from analyzer.services.usage_retention import usage_roll_up
from personas.errors import BadInput
from tests.factories import make_member, make_vm

VALUES = st.lists(st.none() | st.floats(0, LARGEST), min_size=1, max_size=300)


@given(VALUES)
def test_a_value_comes_back_within_the_stated_error(values):
    for told, found in zip(values, unpacked(packed(values), len(values)), strict=True):
        if told is None:
            assert found is None
        else:
            assert abs(found - told) <= max(ABSOLUTE_ERROR, RELATIVE_ERROR * told) * (1 + 1e-9)


@given(VALUES)
def test_what_was_read_and_written_again_does_not_change(values):
    once = packed(values)
    assert packed(unpacked(once, len(values))) == once


@given(st.lists(st.floats(0, LARGEST), min_size=2, max_size=100))
def test_the_order_of_values_stays(values):
    found = unpacked(packed(sorted(values)), len(values))
    assert found == sorted(found)


@pytest.mark.parametrize("value", [-0.1, LARGEST + 1, float("inf")])
def test_what_has_no_code_is_refused(value):
    with pytest.raises(ValueError):
        packed([1.0, value])


@pytest.mark.parametrize("data", [b"", b"no zlib", packed([1.0] * 24), packed([1.0] * 288)[:-9]])
def test_a_damaged_day_is_told(data):
    with pytest.raises(ValueError):
        unpacked(data, 288)


def test_an_hour_is_the_mean_of_what_was_measured_in_it():
    values = [None] * 288
    values[0:3] = [1.0, 2.0, 6.0]
    values[12] = 5.0
    assert coarser(values, 300, HOUR_S)[:3] == [3.0, 5.0, None]


@pytest.mark.django_db
def test_old_days_become_hours_and_very_old_ones_go(settings):
    settings.USAGE_RAW_DAYS, settings.USAGE_KEEP_DAYS = 42, 400
    vm, today = make_vm(), datetime.now(UTC).date()
    for age in (1, 43, 401):
        day_s = (today - timedelta(days=age) - date(1970, 1, 1)).days * DAY_S
        told = [(day_s + n * 300, float(n % 12)) for n in range(288)]
        usage_store(vm=vm, samples={"cpu_percent": told}, steps={"cpu_percent": 300})
    assert usage_roll_up() == {"rolled_up": 1, "deleted": 1}
    old, young = UsageSeries.objects.filter(vm=vm).order_by("day")
    assert (old.step_s, old.values) == (HOUR_S, [5.5] * 24)
    assert (young.step_s, len(young.values)) == (300, 288)
    assert usage_roll_up() == {"rolled_up": 0, "deleted": 0}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("content", "places"),
    [
        (b"time,cpu_percent\n1,2\n", {"header.time", "header.t"}),
        (b"t\n1\n", {"header"}),
        (b"t,cpu_percent\nx,2\n", {"rows.2.t"}),
    ],
)
def test_what_is_wrong_in_a_file_is_told_where_it_stands(content, places):
    vm = make_vm()
    with pytest.raises(BadInput) as refused:
        usage_upload(vm=vm, content=content, by=make_member(vm.department, "operator"))
    assert set(refused.value.errors) == places


@pytest.mark.django_db
def test_percentiles_are_those_of_what_was_told():
    vm = make_vm()
    told = [(1_767_225_600 + n * 300, (n * 7919 % 100_000) / 1000) for n in range(20 * 288)]
    usage_store(vm=vm, samples={"cpu_percent": told}, steps={"cpu_percent": 300})
    summary, ascending = usage_summary(vm)["cpu_percent"], sorted(value for _, value in told)
    for share, found in ((0.5, summary.p50), (0.95, summary.p95), (0.99, summary.p99)):
        assert found == pytest.approx(
            ascending[round((len(told) - 1) * share)], rel=2 * RELATIVE_ERROR, abs=0.02
        )
