"""Usage history that the machine itself recorded: sysstat files, read by its own `sadf`, and the journal."""

import json
import subprocess
import time
from pathlib import Path

from analyzer.domain import sysstat
from analyzer.scanner.child.areas import journal
from analyzer.scanner.child.notes import Notes
from analyzer.scanner.child.tree import Tree

SADF = ("/usr/bin/sadf", "/usr/lib/sysstat/sadf")
MOST_FILES = 62  # two months of days
MOST_SAMPLES = 20_000  # four months at ten minutes
_FILE_LIMIT = 16 << 20  # a day at one sample a minute takes 5 MB
_OUTPUT_LIMIT = 64 << 20
_BUDGET_S = 20  # a file takes 10 ms; a machine that has hundreds of large ones is read in part
_FILE_TIMEOUT_S = 10


def read(tree: Tree, facts: dict, notes: Notes) -> None:
    told = journal.read(tree, facts, notes)
    _read_sysstat(tree, facts, notes, told)


def _read_sysstat(tree: Tree, facts: dict, notes: Notes, told: str) -> None:
    """`told`: what the journal gives in its place, or why it gives nothing."""
    folders = ("/var/log/sysstat", "/var/log/sa")
    paths = [path for folder in folders for path in tree.glob(f"{folder}/sa[0-9]*", most=1000)]
    paths = [path for path in paths if tree.is_file(path)]
    if not paths:
        tell = notes.partial if "journal" in facts else notes.none
        tell("usage", f"the disk holds no sysstat files; {told}")
        return
    sadf = next((path for path in SADF if Path(path).is_file()), None)
    if sadf is None:
        tell = notes.partial if "journal" in facts else notes.none
        tell("usage", f"sysstat is not installed here (package sysstat): its files were not read; {told}")
        return
    series = _all(tree, sadf, paths, notes)
    facts["usage"] = [
        {"metric": metric, "step_s": sysstat.step(samples), "source": "sysstat", "samples": samples}
        for metric, samples in sorted(series.items())
    ]
    notes.full("usage")


def _all(tree: Tree, sadf: str, paths: list[str], notes: Notes) -> dict[str, list]:
    series: dict[str, list] = {}
    started = time.monotonic()
    if len(paths) > MOST_FILES:
        notes.partial("usage", f"the last {MOST_FILES} of {len(paths)} days")
    for path in paths[-MOST_FILES:]:
        if time.monotonic() - started > _BUDGET_S:
            notes.partial("usage", f"reading stopped after {_BUDGET_S} s")
            break
        try:
            found = sysstat.parse_sadf(_sadf(sadf, tree.read(path, _FILE_LIMIT) or b""))
        except (KeyError, TypeError, ValueError, subprocess.TimeoutExpired) as error:
            notes.partial("usage", f"{path} could not be read: {error!s:.200}")
            continue
        for metric, samples in found.items():
            series.setdefault(metric, []).extend(samples)
    return {metric: sysstat.merged(samples, MOST_SAMPLES) for metric, samples in series.items()}


def _sadf(sadf: str, data: bytes) -> dict:
    """Raises ValueError, with sadf's own words, for what is no file of its format."""
    copy = Path("/tmp/sa")  # noqa: S108 - the sandbox's own /tmp
    copy.write_bytes(data)
    command = [sadf, "-j", str(copy), "--", "-u", "-r", "-b", "-n", "DEV"]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_FILE_TIMEOUT_S, check=False
    )
    if done.returncode or len(done.stdout) > _OUTPUT_LIMIT:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise ValueError(said[0] if said else f"sadf ended with {done.returncode}")
    return json.loads(done.stdout)
