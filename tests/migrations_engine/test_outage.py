"""The forecast of an outage, and when another round before it is worth its while."""

from migrations_engine.domain.outage import MOST_ROUNDS, Forecast, Round, forecast, goes_on

WHOLE = Round(100 << 30, 1000.0)


def test_there_is_always_a_round_after_the_first_copy():
    assert goes_on([]) and goes_on([WHOLE])


def test_rounds_go_on_as_long_as_they_get_shorter():
    assert goes_on([WHOLE, Round(5 << 30, 60.0)])
    assert not goes_on([WHOLE, Round(5 << 30, 60.0), Round(4 << 30, 55.0)])


def test_a_short_round_is_the_last_one_and_so_is_the_eighth():
    assert not goes_on([WHOLE, Round(1 << 20, 0.7)])
    shrinking = [Round(1 << 40, 10_000.0 * 0.5**number) for number in range(MOST_ROUNDS)]
    assert goes_on(shrinking[:-1]) and not goes_on(shrinking)


def test_the_last_changes_are_expected_to_be_like_those_of_the_last_round():
    assert forecast([WHOLE], 30.0) is None
    told = forecast([WHOLE, Round(5 << 20, 1.26)], 30.04)
    assert told == Forecast(5 << 20, 1.3, 30.0) and told.total_s == 31.3


def test_without_a_run_before_the_whole_outage_is_not_known():
    told = forecast([WHOLE, Round(5 << 20, 1.26)], None)
    assert told.as_dict() == {"changes_bytes": 5 << 20, "changes_s": 1.3, "rest_s": None, "total_s": None}
