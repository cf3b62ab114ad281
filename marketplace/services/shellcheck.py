"""What shellcheck says of a script and of commands before they are published; of Python, whether it can be read at
all; PowerShell is not checked, and that is told."""

import ast
import json
import subprocess
from functools import lru_cache

from marketplace.domain.bundle import Bundle, BundledScript
from marketplace.domain.finding import Finding

TIMEOUT_S = 30
SHELLS = {"sh": "sh", "bash": "bash"}


def root_findings(bundle: Bundle) -> list[Finding]:
    """Of all that it runs as root."""
    told = [
        each._replace(place=bundle.place_of(script))
        for script in bundle.carried
        for each in script_findings(script)
    ]
    for number, command in enumerate(bundle.commands, start=1):
        for each in _shell_findings("sh", f"#!/bin/sh\n{command}\n"):
            told.append(
                each._replace(place="persona", line=0, text=f"Command {number} of its checks: {each.text}")
            )
    return told


def script_findings(script: BundledScript) -> list[Finding]:
    if script.interpreter in SHELLS:
        return list(_shell_findings(SHELLS[script.interpreter], script.body))
    if script.interpreter == "python3":
        return _python_findings(script.body)
    told = "It is PowerShell, which is not checked here: only people have looked at it."
    return [Finding("lint", "warning", "script", 0, told)]


def _python_findings(body: str) -> list[Finding]:
    try:
        ast.parse(body)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None) or 0
        return [
            Finding("lint", "error", "script", line, f"Python can't read it: {getattr(error, 'msg', error)}")
        ]
    return []


@lru_cache(maxsize=256)  # a check before publishing, and once more when it is published
def _shell_findings(shell: str, body: str) -> tuple[Finding, ...]:
    command = ["shellcheck", "--norc", "--format=json", "--severity=warning", f"--shell={shell}", "-"]
    try:
        done = subprocess.run(
            command, input=body, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
        rows = json.loads(done.stdout)
    except FileNotFoundError:
        return (
            _untold("shellcheck is not installed on this server: an operator installs the Debian package."),
        )
    except (subprocess.TimeoutExpired, json.JSONDecodeError):
        return (_untold("shellcheck could not read it."),)
    return tuple(_told(row) for row in rows)


def _told(row: dict) -> Finding:
    level = "error" if row["level"] == "error" else "warning"
    return Finding("shellcheck", level, "script", row["line"], f"{row['message']} (SC{row['code']})")


def _untold(text: str) -> Finding:
    return Finding("shellcheck", "error", "script", 0, text)
