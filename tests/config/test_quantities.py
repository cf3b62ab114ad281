from datetime import timedelta

import pytest

from config.quantities import format_bytes, format_duration, format_gib, format_mib, format_percent


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (None, "–"),
        (0, "0 B"),
        (1023, "1023 B"),
        (1536, "1.5 KiB"),
        (96 * 2**20, "96 MiB"),
        (784_000_000, "748 MiB"),
        (3 * 2**60, "3072 PiB"),
    ],
)
def test_bytes_take_the_largest_unit_that_fits(value, told):
    assert format_bytes(value) == told


def test_mib_and_gib_are_powers_of_two():
    assert format_mib(8192) == "8 GiB"
    assert format_mib(512) == "512 MiB"
    assert format_gib(40) == "40 GiB"
    assert format_gib(2048) == "2 TiB"
    assert format_mib(None) == format_gib(None) == "–"


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (None, "–"),
        (0, "0 s"),
        (4.52, "4.5 s"),
        (59.6, "1 min"),
        (75, "1 min 15 s"),
        (3600, "1 h"),
        (3905, "1 h 5 min"),
        (90_061, "1 d 1 h"),
        (-75, "-1 min 15 s"),
        (timedelta(minutes=2), "2 min"),
    ],
)
def test_a_duration_has_at_most_two_units(seconds, told):
    assert format_duration(seconds) == told


def test_only_what_is_done_is_a_hundred_percent():
    assert format_percent(99.96) == "99 %"
    assert format_percent(100) == "100 %"
    assert format_percent(None) == "–"
