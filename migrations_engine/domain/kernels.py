"""Which kernel a machine shall boot: what was asked, against what its disk holds."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

OPERATOR = re.compile(r"^(>=|<=|==|>|<|~)\s*(.+)$")
COMPARES = {
    ">=": lambda ours, theirs: ours >= theirs,
    "<=": lambda ours, theirs: ours <= theirs,
    ">": lambda ours, theirs: ours > theirs,
    "<": lambda ours, theirs: ours < theirs,
    "~": lambda ours, theirs: ours == theirs,
}

Action = Literal["keep", "switch", "install", "unavailable", "undecided"]


@dataclass(frozen=True)
class KernelChoice:
    """`version`: the release to boot, None for whatever the machine boots. `reason` is a sentence for a person."""

    action: Action
    version: str | None = None
    current: str | None = None
    reason: str = ""


def satisfies(release: str, spec: str) -> bool:
    """Whether `uname -r`'s release fulfils `6.1.0-44-cloud-amd64`, `6.1` (any 6.1.x), `>=6.1`, `~6.1` (any 6.1.x).

    An operator compares as many numbers as the spec has: 6.1.0-44 fulfils `<=6.1`.
    """
    asked = OPERATOR.match(spec)
    if asked is None or asked[1] == "==":
        wanted = asked[2] if asked else spec
        return release == wanted or (release.startswith(wanted) and release[len(wanted)] in ".-+")
    wanted = numbers(asked[2])
    return COMPARES[asked[1]](numbers(release)[: len(wanted)], wanted)


def numbers(release: str) -> tuple[int, ...]:
    """The leading numbers: 6.1.0-44-cloud-amd64 → (6, 1, 0, 44)."""
    leading = re.match(r"\d+(?:[.-]\d+)*", release)
    return tuple(int(n) for n in re.findall(r"\d+", leading[0])) if leading else ()


def is_exact(spec: str) -> bool:
    """A full release that a package can be looked up by: no operator, and a flavour after the numbers."""
    return OPERATOR.match(spec) is None and re.match(r"\d+(?:[.-]\d+)*[-+.][A-Za-z]", spec) is not None


def choose(
    *,
    spec: str | None,
    intent: str | None,
    installed: Iterable[str] | None,
    current: str | None,
    can_install: bool,
) -> KernelChoice:
    """`installed` None: the disk has not been read yet. An intent that is not said counts as `prefer`."""
    if spec is None:
        return KernelChoice("keep", None, current, "No kernel is asked for; the machine keeps its own.")
    if installed is None:
        return KernelChoice(
            "undecided", None, None, f"The disk has not been read yet, so whether it has {spec} is not known."
        )
    if current and satisfies(current, spec):
        return KernelChoice("keep", current, current, f"The machine boots {current} already.")
    fitting = sorted((release for release in installed if satisfies(release, spec)), key=numbers)
    if fitting:
        return KernelChoice(
            "switch", fitting[-1], current, f"{fitting[-1]} is installed and becomes the default."
        )
    if intent == "install" and can_install and is_exact(spec):
        return KernelChoice("install", spec, current, f"{spec} is not on the disk; the run installs it.")
    return KernelChoice("unavailable", None, current, _why_not(spec, intent, can_install))


def _why_not(spec: str, intent: str | None, can_install: bool) -> str:
    if intent == "install" and can_install:
        return (
            f"No kernel on the disk fulfils {spec}, and a range cannot be installed: name an exact release."
        )
    if intent == "install":
        return f"No kernel on the disk fulfils {spec}, and this target cannot install one."
    return f"No kernel on the disk fulfils {spec}."
