"""dpkg's status file and apt's record of what it installed by itself."""

import re

_FIELD = re.compile(r"^(Package|Status|Version|Architecture|Section|Priority|Auto-Installed): *(.*)$", re.MULTILINE)


def parse_status(text: str) -> list[dict]:
    """Installed packages {name, version, architecture, section, priority}, as `dpkg-query -W` lists them.

    A stanza counts when its state (third word of Status) is "installed"; a stanza with no Status is one of
    `status.d`, which distroless images write only for what they hold.
    """
    found = []
    for fields in _stanzas(text):
        state = fields.get("Status", "install ok installed").split()[-1:]
        if state == ["installed"] and "Package" in fields:
            found.append(
                {
                    "name": fields["Package"],
                    "version": fields.get("Version", ""),
                    "architecture": fields.get("Architecture", ""),
                    "section": fields.get("Section"),
                    "priority": fields.get("Priority"),
                }
            )
    return found


def parse_auto_installed(text: str) -> set[tuple[str, str]]:
    """(name, architecture) of the packages that apt installed only as a dependency (`extended_states`)."""
    return {
        (fields.get("Package", ""), fields.get("Architecture", ""))
        for fields in _stanzas(text)
        if fields.get("Auto-Installed") == "1"
    }


def mark_manual(packages: list[dict], automatic: set[tuple[str, str]], native: str) -> list[dict]:
    """Adds `manual`. apt files architecture-independent packages under the native architecture."""
    return [
        {**package, "manual": (package["name"], _apt_architecture(package, native)) not in automatic}
        for package in packages
    ]


def _apt_architecture(package: dict, native: str) -> str:
    return native if package["architecture"] == "all" else package["architecture"]


def _stanzas(text: str):
    for stanza in text.split("\n\n"):
        if stanza:
            yield dict(_FIELD.findall(stanza))
