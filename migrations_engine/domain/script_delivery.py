"""How a script and what it is told reach the guest, and what of its output may be kept. Pure."""

import base64
import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from migrations_engine.domain.redaction import GONE

SHEBANGS = {
    "sh": "#!/bin/sh",
    "bash": "#!/usr/bin/env bash",
    "python3": "#!/usr/bin/env python3",
    "pwsh": "#!/usr/bin/env pwsh",
}
CALLS = {"pwsh": "pwsh -NoLogo -NoProfile -NonInteractive -File "}
ENDINGS = {"pwsh": ".ps1"}  # pwsh takes no file of another name
LEFT_OUT = " bytes left out ...]\n"  # what a target says where it kept only both ends of an output
LEAST_LINE = 6  # characters of one line of a secret that are looked for by themselves


def is_for(script: Mapping[str, Any], os_id: str) -> bool:
    """`os_id`: of the guest's os-release; where that is unknown, a script of one system does not run."""
    return not script.get("os") or os_id in script["os"]


def executable(script: Mapping[str, Any]) -> str:
    """With the line that names its interpreter; a line of its own wins."""
    body = script["body"].replace("\r\n", "\n")
    return body if body.startswith("#!") else f"{SHEBANGS[script['interpreter']]}\n{body}"


def delivered(script: Mapping[str, Any], variables: Mapping[str, str], mark: str) -> str:
    """What the guest is given to run. Values are quoted as a whole and never stand in the script's own text. `mark`: a
    random word that nobody can have written into the script."""
    body, interpreter = executable(script), script["interpreter"]
    if not variables and interpreter not in CALLS:
        return body
    if mark in body:
        raise ValueError("the mark stands in the script")
    return "\n".join([
        "#!/bin/sh",
        "# Made by the migration. It removes itself before the script begins: the values stay in no file.",
        "umask 077",
        f"text=${{0%/*}}/text{ENDINGS.get(interpreter, '')}",
        f"cat > \"$text\" <<'{mark}'",
        body.removesuffix("\n"),
        mark,
        'chmod 700 "$text"',
        'rm -f "$0"',
        "umask 022",
        *(f"export {name}={shlex.quote(value)}" for name, value in variables.items()),
        f'exec {CALLS.get(interpreter, "")}"$text"',
        "",
    ])  # fmt: skip


def without_secrets(output: str, secrets: Iterable[str]) -> str:
    """A whole output, or both its ends: what was cut in two where some was left out goes with the cut."""
    words = secret_words(secrets)
    if not words:
        return output
    if LEFT_OUT in output:
        output = "[... what came before is left out ...]\n" + _from_next_line(output.rpartition(LEFT_OUT)[2])
    return _taken_out(output, words)


def live_tail(output: str, secrets: Iterable[str], *, is_cut: bool) -> str:
    """What may be shown of the end of an output that is still being written: whole lines only, because half a secret
    is not known for one. `is_cut`: `output` does not begin at its beginning."""
    whole = _from_next_line(output) if is_cut else output
    return _taken_out(whole[: whole.rfind("\n") + 1], secret_words(secrets))


def _from_next_line(text: str) -> str:
    return text.partition("\n")[2]


def secret_words(secrets: Iterable[str]) -> list[str]:
    """Everything that gives a secret away: itself, each of its lines, and its base64. The longest first."""
    words: set[str] = set()
    for secret in secrets:
        lines = [line.strip() for line in secret.splitlines() if len(line.strip()) >= LEAST_LINE]
        encoded = [base64.b64encode(each.encode()).decode() for each in (secret, secret + "\n")]
        words.update([secret, *lines, *encoded])
    return sorted(filter(None, words), key=lambda word: (-len(word), word))


def _taken_out(text: str, words: list[str]) -> str:
    for word in words:
        text = text.replace(word, GONE)
    return text
