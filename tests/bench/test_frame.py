"""The frame of the benchmarks, without a clock: what it runs, in which order, and what it calls missed."""

import json

import pytest

from config.bootstrap import debian
from tests.bench import command
from tests.bench.frame import Benchmark, Figure, Side, race
from tests.bench.table import BENCHMARKS


def test_the_sides_take_turns_after_a_round_that_does_not_count():
    seen = []
    ours, peer = (Side(name, lambda name=name: seen.append(name)) for name in ("ours", "peer"))
    figure = race("turns", ours, peer, rounds=3)
    assert seen == ["ours", "peer", "peer", "ours", "ours", "peer", "peer", "ours"]
    assert [len(each) for each in figure.seconds.values()] == [3, 3]


def test_each_round_is_made_ready_before_it_is_timed():
    seen = []
    Side("ours", lambda: seen.append("work"), lambda: seen.append("ready")).round()
    assert seen == ["ready", "work"]


@pytest.mark.parametrize(
    ("limits", "holds"),
    [({}, True), ({"at_least": 2}, True), ({"at_least": 2.1}, False), ({"at_most": 1.9}, False)],
)
def test_a_figure_holds_within_its_limits(limits, holds):
    assert Figure("some", 2.0, "x", **limits).holds is holds


def test_names_are_unique_and_packages_are_known():
    assert len({each.name for each in BENCHMARKS}) == len(BENCHMARKS)
    known = {package.purpose for package in debian.PACKAGES}
    assert known >= {purpose for each in BENCHMARKS for purpose in each.packages}


@pytest.fixture
def one_benchmark(monkeypatch):
    def measure(scratch, rounds):
        assert scratch.is_dir()
        yield Figure("rounds", rounds, "", at_most=3, seconds={"ours": [0.5]})

    monkeypatch.setenv(
        "DJANGO_SETTINGS_MODULE", "config.settings"
    )  # the command sets its own: put back after
    monkeypatch.setattr("tests.bench.table.BENCHMARKS", (Benchmark("sample", "How many?", measure),))
    monkeypatch.setattr(debian, "ensure", lambda purposes: None)


def test_the_command_ends_with_one_when_a_figure_misses(one_benchmark, capsys):
    assert command.main(["sample", "--rounds", "3"]) == 0
    assert command.main(["--rounds", "4"]) == 1
    assert "MISSED" in capsys.readouterr().out


def test_the_command_tells_every_round_to_a_program(one_benchmark, capsys):
    command.main(["--json", "--rounds", "2"])
    (figure,) = json.loads(capsys.readouterr().out)["benchmarks"]["sample"]
    assert (figure["value"], figure["holds"], figure["seconds"]) == (2, True, {"ours": [0.5]})


def test_an_unknown_name_is_refused_with_the_known_ones(one_benchmark, capsys):
    with pytest.raises(SystemExit):
        command.main(["speed"])
    assert "there are: sample" in capsys.readouterr().err
