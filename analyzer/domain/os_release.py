"""`/etc/os-release` (systemd os-release(5)) and the family of a distribution."""

import re

FAMILIES = {  # ID or ID_LIKE -> the family whose tools manage it
    "debian": "debian",
    "ubuntu": "debian",
    "rhel": "rhel",
    "fedora": "rhel",
    "centos": "rhel",
    "amzn": "rhel",
    "suse": "suse",
    "opensuse": "suse",
    "sles": "suse",
    "alpine": "alpine",
    "arch": "arch",
}
_LINE = re.compile(r"^([A-Z][A-Z0-9_]*)=(.*)$")


def parse_os_release(text: str) -> dict:
    """Keys id, version, name, pretty_name, codename, family, like (a list), in the shape of facts.OperatingSystem."""
    values = {}
    for line in text.splitlines():
        match = _LINE.match(line.strip())
        if match:
            values[match[1]] = _unquoted(match[2])
    like = values.get("ID_LIKE", "").split()[:16]
    return {
        "id": values.get("ID", ""),
        "version": values.get("VERSION_ID", ""),
        "name": values.get("NAME", ""),
        "pretty_name": values.get("PRETTY_NAME", ""),
        "codename": values.get("VERSION_CODENAME", ""),
        "family": family(values.get("ID", ""), like),
        "like": like,
    }


def family(os_id: str, like: list[str]) -> str:
    for word in (os_id, *like):
        found = FAMILIES.get(word) or FAMILIES.get(word.split("-")[0])  # "opensuse-leap"
        if found:
            return found
    return "unknown"


def _unquoted(value: str) -> str:
    value = value.strip()
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
        value = value[1:-1]
    return re.sub(r'\\(["\'$`\\])', r"\1", value)
