"""`evaluate_sizing`: sizes learnt on the first half, judged on the second."""

import gzip
import json
from io import StringIO

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from analyzer.domain.sizing import Policy, Trace
from analyzer.domain.sizing_csv import WrongTable, read_table
from analyzer.domain.sizing_trial import trial

HOUR = 3600
START = 1_704_067_200  # 2024-01-01
HEADER = "vm,t,cpu_used,cpu_cap,mem_used,mem_cap\n"
DAYS = 20


def machine(early: float, later: float, capacity=100.0) -> Trace:
    """Twenty days of hours: ten at `early`, ten at `later`."""
    used = np.repeat([early, later], 12 * DAYS)
    return Trace(START + HOUR * np.arange(len(used)), used, np.full(len(used), capacity))


def rows(vm: str, cpu: float, memory: float) -> str:
    hours = range(24 * DAYS)
    return "".join(f"{vm},{START + HOUR * hour},{cpu},8,{memory},32\n" for hour in hours)


def evaluate(path, *options) -> dict:
    out = StringIO()
    call_command("evaluate_sizing", "--usage", str(path), "--json", *options, stdout=out)
    return json.loads(out.getvalue())


def test_a_size_is_judged_on_the_half_that_it_has_not_seen():
    figures, machines = trial([("calm", machine(20, 20)), ("wakes", machine(20, 90))], Policy(headroom=1.0))
    assert [each.size for each in machines] == [60, 60]
    assert figures["sized"]["above_share"] == 0.5
    assert figures["as_is"]["above_share"] == 0
    assert figures["max_of_first_half"]["above_share"] == 0.5


def test_costs_are_told_against_the_need_and_the_present_size():
    figures, _ = trial([("calm", machine(20, 30))], Policy(headroom=1.0))
    assert figures["sized"]["allocated_over_needed"] == pytest.approx(2)
    assert figures["sized"]["allocated_over_as_is"] == pytest.approx(0.6)
    assert figures["as_is"]["allocated_over_needed"] == pytest.approx(100 / 30)
    assert figures["max_of_first_half"]["allocated_over_as_is"] == pytest.approx(0.2)


def test_a_machine_at_its_limit_counts_as_short_though_nothing_is_above():
    figures, _ = trial([("full", machine(100, 100))], Policy(headroom=1.0))
    assert figures["as_is"]["above_share"] == 0
    assert figures["as_is"]["short_share"] == 1
    assert figures["sized"]["short_share"] == 0


def test_a_refused_machine_keeps_its_size_and_counts():
    figures, machines = trial([("short", machine(20, 20))], Policy(least_days=30))
    assert (machines[0].size, machines[0].decided_by) == (100, "refused")
    assert "30 are needed" in machines[0].refused
    assert (figures["refused"], figures["sized"]["allocated_over_as_is"]) == (1, 1)


def test_a_split_at_a_date_leaves_out_machines_that_came_later():
    figures, _ = trial([("calm", machine(20, 20))], Policy(), split_s=START)
    assert figures["machines"] == 0
    assert figures["sized"]["above_share"] is None


def test_rows_of_any_order_and_columns_of_any_order_are_understood():
    text = "mem_cap,t,vm,cpu_used,colour,cpu_cap,mem_used\n32,200,a,2,red,8,\n32,100,b,5,red,8,7\n32,100,a,1,red,8,6\n"
    table = read_table(text.splitlines(keepends=True))
    traces = dict(table.traces("cpu"))
    assert (traces["a"].t_s.tolist(), traces["a"].used.tolist()) == ([100, 200], [1, 2])
    assert traces["b"].used.tolist() == [5]
    assert np.isnan(dict(table.traces("mem"))["a"].used[1])


@pytest.mark.parametrize(
    "told", ["1704067200", "1704067200000", "2024-01-01T00:00:00", "2024-01-01T01:00:00+01:00"]
)
def test_a_time_may_be_told_in_four_ways(told):
    table = read_table([HEADER, f"a,{told},1,8,1,32\n"])
    assert table.columns["t"].tolist() == [START]


@pytest.mark.parametrize(
    "text, reason",
    [
        ("", "row 1: vm, t, cpu_used, cpu_cap, mem_used, mem_cap missing"),
        ("vm,t,cpu_used,cpu_cap\n", "row 1: mem_used, mem_cap missing"),
        (HEADER, "there is no row"),
        (HEADER + "a,1,2,3\n", "row 2:"),
        (HEADER + "a,1,2,3,4,5\na,1,much,3,4,5\n", "row 3: could not convert string to float: 'much'"),
        (HEADER + "a,yesterday,2,3,4,5\n", "row 2: Invalid isoformat string"),
        (HEADER + "a" * 200_000 + ",1,2,3,4,5\n", "row 2: field larger than field limit"),
        (HEADER + "a,nan,2,3,4,5\n", "row 2: 'nan' is no time"),
    ],
)
def test_a_wrong_table_is_refused_with_its_row(text, reason):
    with pytest.raises(WrongTable) as raised:
        read_table(text.splitlines(keepends=True))
    assert reason in str(raised.value)


def test_the_command_tells_every_policy_of_both_resources(tmp_path):
    file = tmp_path / "usage.csv"
    file.write_text(HEADER + rows("a", 2, 8) + rows("b", 4, 30))
    report = evaluate(file)
    assert (report["vms"], report["rows"]) == (2, 2 * 24 * DAYS)
    assert report["cpu"]["sized"]["above_share"] == 0
    assert report["cpu"]["sized"]["allocated_over_as_is"] == pytest.approx((4.8 + 5.2) / 16)
    assert report["memory"]["sized"]["allocated_over_as_is"] == pytest.approx((19.2 + 36) / 64)
    assert report["cost"]["as_is"] == 1
    assert report["cost"]["max_of_first_half"] == pytest.approx((6 / 16 + 38 / 64) / 2)


def test_the_command_reads_gzip_and_lists_machines(tmp_path):
    file = tmp_path / "usage.csv.gz"
    file.write_bytes(gzip.compress((HEADER + rows("a", 2, 8)).encode()))
    report = evaluate(file, "--per-vm", "--cpu-step", "1", "--memory-minimum", "24")
    (cpu,), (memory,) = report["machines"]["cpu"], report["machines"]["memory"]
    assert (cpu["vm"], cpu["size"], cpu["decided_by"]) == ("a", 5, "deepest_cut")
    assert (memory["size"], memory["decided_by"]) == (24, "minimum")


def test_the_command_shows_a_table(tmp_path):
    file = tmp_path / "usage.csv"
    file.write_text(HEADER + rows("a", 2, 8))
    out = StringIO()
    call_command("evaluate_sizing", "--usage", str(file), "--split", "2024-01-11", stdout=out)
    assert "max of first half" in out.getvalue()
    assert f"{24 * DAYS} rows of 1 machines" in out.getvalue()


@pytest.mark.parametrize(
    "content, options, reason",
    [
        (b"vm,t\n", [], "row 1: cpu_used"),
        (b"\xff\xfe\x00", [], "cannot be read"),
        (b"\x1f\x8bnot gzip at all", [], "cannot be read"),
        (
            HEADER.encode() + b"a,1,2,3,4,5\n",
            ["--cpu-percentile", "10"],
            "percentile is 10.0; it lies in 50 to 99.9",
        ),
        (HEADER.encode() + b"a,1,2,3,4,5\n", ["--split", "soon"], "'soon' is no date"),
    ],
)
def test_the_command_refuses_what_it_cannot_use(tmp_path, content, options, reason):
    file = tmp_path / "usage.csv"
    file.write_bytes(content)
    with pytest.raises(CommandError) as raised:
        evaluate(file, *options)
    assert reason in str(raised.value)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(CommandError, match="cannot be read"):
        evaluate(tmp_path / "absent.csv")
