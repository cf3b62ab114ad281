"""Journals written by systemd itself, read by our own reader: as journalctl reads them, and never at a scan's cost."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from analyzer.domain.journal import BadJournal, History, JournalFile
from analyzer.scanner.scan import scan_image
from tests.disks import DEBIAN, lay_out, make_disk, run

BOOTS = ("1" * 32, "2" * 32)
START = 1_700_000_000  # the first boot; the second one begins a day later
DAY = 86_400
USED, STARTED = "ae8f7b866b0347b9af31fe1c80b127c0", "39f53479d3a045ac8e11786248231fbf"
AGAIN = "5eb03494b6584870a536b337290809b2"


def record(at: float, boot: int = 0, **fields) -> str:
    lines = {
        "__REALTIME_TIMESTAMP": round(at * 1_000_000),
        "__MONOTONIC_TIMESTAMP": round((at - START - boot * DAY + 1) * 1_000_000),
        "_BOOT_ID": BOOTS[boot],
        "PRIORITY": 6,
        **fields,
    }
    return "".join(f"{name}={value}\n" for name, value in lines.items())


def week() -> list[str]:
    """Two boots of an hour: a service that used ten minutes, one that was started again, a process that was killed."""
    found = []
    for boot, begun in enumerate((START, START + DAY)):
        found += [
            record(begun, boot, _TRANSPORT="kernel", MESSAGE="smp: Brought up 1 node, 2 CPUs"),
            record(begun + 60, boot, MESSAGE_ID=STARTED, UNIT="db.service", MESSAGE="Started db.service."),
            *(record(begun + 60 + n, boot, MESSAGE=f"line {n} of {boot}") for n in range(300)),
            record(begun + 900, boot, MESSAGE_ID=AGAIN, UNIT="web.service", N_RESTARTS=1, MESSAGE="again"),
            record(
                begun + 3540,
                boot,
                MESSAGE_ID=USED,
                UNIT="db.service",
                CPU_USAGE_NSEC=600 * 10**9,
                MEMORY_PEAK=512 * 2**20,
                IO_METRIC_READ_BYTES=4096,
                MESSAGE="db.service: Consumed 10min CPU time.",
            ),
            record(begun + 3600, boot, MESSAGE="x" * 5000),  # compressed
        ]
    killed = "Out of memory: Killed process 77 (postgres) total-vm:1kB, anon-rss:1kB"
    return [*found, record(START + DAY + 3700, 1, _TRANSPORT="kernel", MESSAGE=killed)]


def journal(path: Path, records: list[str], **environment: str) -> Path:
    subprocess.run(
        ["/lib/systemd/systemd-journal-remote", f"--output={path}", "-"],
        input="\n".join(records) + "\n",
        env={**os.environ, **environment},
        text=True,
        check=True,
        capture_output=True,
    )
    return path


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    return journal(tmp_path_factory.mktemp("journal") / "system.journal", week())


def opened(data: bytes) -> JournalFile:
    return JournalFile(lambda offset, length: data[offset : offset + length], len(data))


@pytest.mark.parametrize(
    "options", [{}, {"SYSTEMD_JOURNAL_COMPACT": "0"}, {"SYSTEMD_JOURNAL_KEYED_HASH": "0"}]
)
def test_entries_and_values_are_those_of_journalctl(tmp_path, options):
    path = journal(tmp_path / "x.journal", week(), **options)
    file = opened(path.read_bytes())
    (value,) = [each for each in file.values(b"MESSAGE_ID") if each.text == f"MESSAGE_ID={USED}".encode()]
    ours = [(file.entry(at).realtime_us, file.fields_of(file.entry(at))) for at in file.entries(value)]
    told = run("journalctl", f"--file={path}", "-o", "json", f"MESSAGE_ID={USED}").splitlines()
    theirs = [json.loads(line) for line in told]
    assert [at for at, _ in ours] == [int(each["__REALTIME_TIMESTAMP"]) for each in theirs]
    for (_, fields), row in zip(ours, theirs, strict=True):
        plain = {name: text for name, text in row.items() if not name.startswith("__")}
        assert {name.decode(): text.decode() for name, text in fields.items()} == plain
    distinct = {
        text for text in run("journalctl", f"--file={path}", "-o", "cat").splitlines() if len(text) < 500
    }
    assert {each.text[8:].decode() for each in file.values(b"MESSAGE") if each.text} == distinct


def on_disk(tmp_path, files: dict[str, bytes]):
    """Facts of a machine whose journal folder holds these files."""
    folder = {f"var/log/journal/{'a' * 32}/{name}": data for name, data in files.items()}
    return scan_image(make_disk(tmp_path / "d", lay_out(tmp_path / "tree", DEBIAN | folder)), "raw")


def test_the_journal_tells_boots_use_restarts_and_killed_processes(written, tmp_path):
    facts = on_disk(tmp_path, {"system.journal": written.read_bytes()})
    found = facts.journal
    assert [(each.started_s, each.ended_s) for each in found.boots] == [
        (START, START + 3600),
        (START + DAY, START + DAY + 3700),
    ]
    assert [each.cpu_percent for each in found.boots] == [pytest.approx(100 * 600 / 7200, abs=0.01),
                                                          pytest.approx(100 * 600 / 7400, abs=0.01)]  # fmt: skip
    assert found.up_percent == round(100 * 7300 / (DAY + 3700), 1)
    assert {
        (each.unit, each.started_s, each.ended_s, each.cpu_s, each.memory_peak_bytes) for each in found.units
    } == {("db.service", begun + 60, begun + 3540, 600.0, 512 * 2**20) for begun in (START, START + DAY)}
    assert [(each.unit, each.count) for each in found.restarts] == [("web.service", 2)]
    assert [(each.process, each.at_s) for each in found.out_of_memory] == [("postgres", START + DAY + 3700)]
    assert found.processors == 2
    assert "out_of_memory" in {each.code for each in facts.concerns}
    usage = facts.covered("usage")
    assert (usage.state, facts.usage) == ("partial", ())
    assert "sums and means of 2 boots, no samples" in usage.reason


def test_several_files_are_read_as_one_history(tmp_path):
    records = week()
    half = len(records) // 2
    files = {
        f"system@{'b' * 32}-0000000000000001-000609f2a2a2a2a2.journal": records[:half],
        "system.journal": records[half:],
    }
    data = {name: journal(tmp_path / name, rows).read_bytes() for name, rows in files.items()}
    found = on_disk(tmp_path, data).journal
    assert (found.files, len(found.boots), len(found.units)) == (2, 2, 2)


HEADER_BYTES = 208


def garbled(data: bytes, seed: int) -> bytes:
    """Pointers of the index turned around: every 97th eight bytes behind the header become another's."""
    changed = bytearray(data)
    for at in range(HEADER_BYTES + seed * 8, min(len(data), 400_000) - 8, 97 * 8):
        other = HEADER_BYTES + (at * 31 + seed) % 200_000 // 8 * 8
        changed[at : at + 8] = data[other : other + 8]
    return bytes(changed)


def circle(data: bytes) -> bytes:
    """The field MESSAGE says that the next one in its place of the table is itself."""
    changed = bytearray(data)
    at = data.index(b"\2" + bytes(7) + (40 + len("MESSAGE")).to_bytes(8, "little"))
    changed[at + 24 : at + 32] = at.to_bytes(8, "little")
    return bytes(changed)


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (lambda data: data[:5000], "it is cut off"),
        (lambda data: data[:100], "not a journal file"),
        (lambda data: b"\0" * 8 + data[8:], "not a journal file"),
        (lambda data: data[:12] + b"\xff\xff\xff\x7f" + data[16:], "a newer systemd"),
        (circle, "its index is a circle"),
    ],
)
def test_a_hostile_journal_costs_itself_only(written, tmp_path, harm, reason):
    facts = on_disk(tmp_path, {"system.journal": harm(written.read_bytes())})
    assert reason in facts.covered("usage").reason
    assert "journal unreadable: system.journal: " in facts.covered("usage").reason
    assert facts.covered("packages").state == "full"
    assert facts.hostname == "web01"


def test_one_bad_file_does_not_hide_the_others(written, tmp_path):
    bad = f"system@{'b' * 32}-0000000000000001-000609f2a2a2a2a2.journal"
    facts = on_disk(tmp_path, {"system.journal": written.read_bytes(), bad: bytes(500)})
    assert len(facts.journal.boots) == 2
    assert facts.journal.files == 1


@pytest.mark.parametrize("seed", range(8))
def test_a_garbled_journal_is_told_or_read_and_never_an_accident(written, seed):
    try:
        History().add(opened(garbled(written.read_bytes(), seed)))
    except BadJournal:
        pass  # the one answer that is allowed beside a history
