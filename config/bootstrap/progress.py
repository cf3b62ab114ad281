"""What a person sees while something is prepared: short lines; every line of the tools goes to a log in `var/log`.

On stderr, because stdout belongs to the command that was asked for (`manage.py merge ... | jq`).
"""

import stat
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VAR = ROOT / "var"


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def private_dir(path: Path) -> Path:
    """The folder, made where it is missing, for its owner only: keys and disks live in `var/`."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        with suppress(PermissionError):  # a volume of another owner: who may see it was their choice
            path.chmod(mode & ~0o077)
    return path


def run_logged(
    command: Sequence[str | Path], *, log: str, on_line: Callable[[str], None] = lambda line: None, env=None
) -> tuple[int, list[str]]:
    """Run `command`, each line of it to `var/log/<log>.log` and to `on_line`; `(exit code, its last 40 lines)`."""
    private_dir(VAR)
    last: list[str] = []
    with (private_dir(VAR / "log") / f"{log}.log").open("a") as file:
        file.write(f"--- {time.strftime('%F %T')} {' '.join(map(str, command))}\n")
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=env,
        ) as process:
            for line in process.stdout:
                file.write(line)
                last = [*last[-39:], line.rstrip()]
                on_line(line.rstrip())
    return process.returncode, last


class Percent:
    """Says `<label> 30 %` each time ten more percent are reached: readable in a terminal and in a CI log."""

    def __init__(self, label: str):
        self.label, self.said = label, -1

    def reached(self, fraction: float) -> None:
        tenth = int(min(max(fraction, 0.0), 1.0) * 10)
        if tenth > self.said:
            self.said = tenth
            say(f"  {self.label} {tenth * 10} %")
