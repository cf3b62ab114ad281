"""GRUB's menu as it stands in `grub.cfg`, which of its entries starts by default, and BLS entries.

A default is set *by menu id*: a title that matches no entry silently falls back to the first one.
"""

import re
from typing import NamedTuple

_ENTRY = re.compile(r"^(menuentry|submenu)\s+(?:'((?:[^']|'\\'')*)'|\"([^\"]*)\"|(\S+))(.*)$")
_ID = re.compile(r"(?:\$\{?menuentry_id_option\}?|--id)[\s=]+(?:'([^']*)'|\"([^\"]*)\"|([^\s{]+))")
_LINUX = re.compile(r"^linux(?:16|efi)?\s+(\S+)(.*)$")
_DEFAULT = re.compile(r"^set default=(?:\"([^\"]*)\"|'([^']*)'|(\S*))$")
_KERNEL_FILE = re.compile(r"^(?:vmlinu[xz]|kernel|linux|Image|bzImage)-(.+)$")
MOST_ENTRIES = 500


class Entry(NamedTuple):
    title: str
    menu_id: str  # with the submenus it stands in: "gnulinux-advanced-X>gnulinux-6.1-advanced-X"
    index: str  # as counted by GRUB: "0", "1>2"
    version: str  # of the kernel that its `linux` line loads; "" if the file's name does not tell
    recovery: bool


class _Open(NamedTuple):
    kind: str  # "menuentry", "submenu" or "" for any other brace
    title: str
    id: str
    index: int


def parse_menu(text: str) -> list[Entry]:
    """Every menu entry that loads a Linux kernel, in the order of the file."""
    entries, stack, counters = [], [], [0]
    for line in text.splitlines():
        line = line.strip()
        match = _ENTRY.match(line)
        if match and line.endswith("{"):
            stack.append(_opened(match, counters[-1]))
            counters[-1] += 1
            counters.append(0)
        elif line.endswith("{") and not line.startswith("#"):
            stack.append(_Open("", "", "", 0))
            counters.append(0)
        elif line == "}" and stack:
            stack.pop()
            counters.pop()
        elif stack and stack[-1].kind == "menuentry":
            loaded = _LINUX.match(line)
            if loaded and len(entries) < MOST_ENTRIES:
                entries.append(_entry(stack, loaded))
    return entries


def _opened(match: re.Match, index: int) -> _Open:
    title = next(group for group in (match[2], match[3], match[4], "") if group is not None)
    title = title.replace("'\\''", "'")
    marked = _ID.search(match[5])
    identity = next(filter(None, marked.groups()), "") if marked else ""
    return _Open(match[1], title, identity or title, index)


def _entry(stack: list[_Open], loaded: re.Match) -> Entry:
    levels = [each for each in stack if each.kind]
    arguments = loaded[2].split()
    identity = ">".join(each.id for each in levels)
    return Entry(
        title=levels[-1].title,
        menu_id=identity,
        index=">".join(str(each.index) for each in levels),
        version=kernel_version(loaded[1]),
        recovery="-recovery-" in identity or "single" in arguments or "recovery" in arguments,
    )


def kernel_version(path: str) -> str:
    """ "6.1.0-44-cloud-amd64" from ".../vmlinuz-6.1.0-44-cloud-amd64"; "" where the name holds none."""
    match = _KERNEL_FILE.match(path.rsplit("/", 1)[-1])
    return match[1] if match else ""


def configured_default(text: str, environment: dict[str, str]) -> str:
    """What grub.cfg sets `default` to without a hand on the keyboard: an index, a menu id or a title."""
    wanted = "0"
    for line in text.splitlines():
        match = _DEFAULT.match(line.strip())
        if match:
            value = next(group for group in (*match.groups(), "") if group is not None)
            if "next_entry" not in value:  # the once-only entry of grub-reboot
                wanted = value
    wanted = re.sub(r"\$\{?(\w+)\}?", lambda variable: environment.get(variable[1], ""), wanted)
    return wanted.strip() or "0"


def default_entry(entries: list[Entry], wanted: str) -> Entry | None:
    """The entry that `wanted` means; as GRUB does, the first one when it means none."""
    if not entries:
        return None
    for entry in entries:
        if wanted in (entry.menu_id, entry.index, entry.menu_id.rsplit(">", 1)[-1], entry.title):
            return entry
    # "1" where 1 is a submenu means the first entry in it
    inside = wanted + ">"
    within = (each for each in entries if each.index.startswith(inside) or each.menu_id.startswith(inside))
    return next(within, entries[0])


def menu_id_for(entries: list[Entry], version: str) -> Entry | None:
    """The entry by which to make this kernel the default: the one that stays when a newer kernel arrives.

    The short top-level entry always starts the newest kernel, so one inside a submenu is better.
    """
    fit = [entry for entry in entries if entry.version == version and not entry.recovery]
    return next((entry for entry in fit if ">" in entry.menu_id), fit[0] if fit else None)


def parse_environment(text: str) -> dict[str, str]:
    """`grubenv`: name=value lines in a block padded with #."""
    pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))
    return dict(pairs)


def parse_bls(text: str, stem: str) -> Entry | None:
    """A Boot Loader Specification entry (`/boot/loader/entries/STEM.conf`); None if it starts no Linux."""
    values = {}
    for line in text.splitlines():
        key, _, value = line.strip().partition(" ")
        values.setdefault(key, value.strip())
    if "linux" not in values:
        return None
    version = values.get("version") or kernel_version(values["linux"])
    recovery = "rescue" in stem or "single" in values.get("options", "").split()
    return Entry(values.get("title", stem), stem, "", version, recovery)
