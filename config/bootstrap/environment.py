"""The project's own environment `.venv/`: made once, repaired when interrupted, entered in milliseconds after."""

import fcntl
import hashlib
import json
import os
import shutil
import sys
import time
from contextlib import contextmanager
from pathlib import Path

from config.bootstrap import pip_wheel
from config.bootstrap.progress import ROOT, VAR, Percent, private_dir, run_logged, say

VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LOCKS = {
    "run": ROOT / "requirements.lock",
    "dev": ROOT / "requirements-dev.lock",  # all of run in the same versions, and the tools of the tests
}
STAMP = VENV / "ready.json"  # written last: what is installed, by which Python, where
UNFINISHED = VENV / "unfinished"  # there while packages are being written


def enter(kind: str) -> None:
    """Return inside a `.venv/` with the packages of `kind` ("run" or "dev"); elsewhere, start again in there.

    Exits with one line that says what to do when the environment cannot be prepared.
    """
    inside = Path(sys.prefix).resolve() == VENV.resolve()  # .venv may be a link to another disk
    if inside and kind == "run":
        return  # whoever calls .venv/bin/python has chosen what is in it
    changed = ensure(kind)
    if changed or not inside:
        os.execv(PYTHON, [str(PYTHON), *sys.orig_argv[1:]])


def ensure(kind: str) -> bool:
    """Make `.venv/` hold the packages of `kind`; whether anything had to be done for it."""
    if is_ready(kind):
        return False
    with only_one_start():
        if not is_ready(kind):  # the start that we waited for may have done it
            prepare(kind)
    return True


def is_ready(kind: str) -> bool:
    try:
        stamp = json.loads(STAMP.read_text())
    except FileNotFoundError:
        return False
    same_place = stamp["venv"] == str(VENV) and stamp["python"] == os.path.realpath(PYTHON)
    return same_place and os.access(PYTHON, os.X_OK) and stamp["locks"].get(kind) == digest(LOCKS[kind])


def prepare(kind: str) -> None:
    started = time.monotonic()
    remove_if_broken()
    if not PYTHON.exists():
        say(f"Preparing the Python environment in {VENV} (once; nothing outside of it is changed).")
        create()
    pip = pip_wheel.find_or_fetch()
    UNFINISHED.touch()
    STAMP.unlink(missing_ok=True)
    install(pip, LOCKS[kind])
    installed = ("run", "dev") if kind == "dev" else ("run",)
    write_stamp({name: digest(LOCKS[name]) for name in installed})
    UNFINISHED.unlink()
    say(f"The environment is ready ({time.monotonic() - started:.0f} s).")


def remove_if_broken() -> None:
    """Interrupted half-way, moved, or made by a Python that is gone: quicker to make anew than to trust."""
    without_python = os.path.lexists(VENV) and not PYTHON.exists()
    if without_python or UNFINISHED.exists() or (STAMP.exists() and made_elsewhere()):
        say(f"The environment in {VENV} was interrupted or its Python has changed: making it anew.")
        if VENV.is_symlink():
            VENV.unlink()  # where it points to is not ours to empty
        else:
            shutil.rmtree(VENV)


def made_elsewhere() -> bool:
    stamp = json.loads(STAMP.read_text())
    return stamp["venv"] != str(VENV) or stamp["python"] != os.path.realpath(PYTHON)


def create() -> None:
    # without pip: Debian ships Python without ensurepip, and pip runs from its wheel as well
    command = [sys.executable, "-m", "venv", "--without-pip", str(VENV)]
    code, last = run_logged(command, log="bootstrap")
    if code:
        shutil.rmtree(VENV, ignore_errors=True)
        said = last[-1] if last else f"exit code {code}"
        sys.exit(f"{sys.executable} cannot make a virtual environment ({said}): use a complete Python 3.11+.")


def install(pip: Path, lock: Path) -> None:
    """Exactly what the lock says, hashes checked, from wherever this machine's pip configuration points."""
    total = sum("==" in line for line in lock.read_text().splitlines())
    say(f"Installing the {total} packages of {lock.name}, each checked against its hash.")
    seen, percent = 0, Percent("packages found")

    def count(line: str) -> None:
        nonlocal seen
        if line.startswith(("Collecting ", "Requirement already satisfied")):
            seen += 1
            percent.reached(seen / total)
        elif line.startswith("Installing collected packages"):
            say("  writing them to .venv")

    strict = ["--require-hashes", "--only-binary", ":all:"]
    quiet = ["--no-input", "--disable-pip-version-check", "--progress-bar", "off", "--retries", "2"]
    command = [PYTHON, pip / "pip", "install", *strict, *quiet, "-r", lock]
    code, last = run_logged(command, log="bootstrap", on_line=count)
    if code:
        sys.exit(f"{reason(last)}\nThe whole log: {VAR}/log/bootstrap.log. Then run the same command again.")


def reason(last: list[str]) -> str:
    """One line that names the cause, for the failures that a person meets; pip's own error for the others."""
    text = "\n".join(last)
    if "DO NOT MATCH THE HASHES" in text:
        return "A downloaded package differs from the lock: do not trust it, and check where pip is pointed."
    if "Connection" in text or "NameResolution" in text or "timed out" in text:
        return (
            "No package index could be reached: check the network, and pip's configuration (pip config list)."
        )
    errors = [line for line in last if line.startswith("ERROR")]
    return (errors or last or ["pip ended without a word"])[-1]


def write_stamp(locks: dict[str, str]) -> None:
    draft = STAMP.with_suffix(".part")
    draft.write_text(json.dumps({"venv": str(VENV), "python": os.path.realpath(PYTHON), "locks": locks}))
    draft.replace(STAMP)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@contextmanager
def only_one_start():
    """Of two starts at once the second waits; the lock goes with its process, so a killed start blocks nobody."""
    try:
        private_dir(VAR)
        file = (VAR / "bootstrap.lock").open("w")
    except PermissionError:
        sys.exit(f"{ROOT} is not yours to prepare. Its owner runs once: python3 {ROOT}/manage.py check")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Another start is preparing the environment: waiting for it.")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
