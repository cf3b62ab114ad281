"""What a bundle would do, computed from its content: no publisher writes it, so none can understate it."""

from typing import NamedTuple

from marketplace.domain.bundle import Bundle, BundledScript
from marketplace.domain.script_entries import when_words
from personas.domain.canonical import canonical_json
from personas.domain.security_groups import Rule

LANGUAGES = {"python3": ["Python 3"], "pwsh": ["PowerShell"]}  # of a shell's script the text tells
EVERYONE = {"0.0.0.0/0", "::/0"}


class Permission(NamedTuple):
    """`kind` is stable (for comparing two releases), `text` says it to people, `is_grave` wants a second look."""

    kind: str
    text: str
    is_grave: bool = False


def manifest(bundle: Bundle) -> list[Permission]:
    """In a fixed order; the same content gives the same list."""
    return [permission for permission, _ in _told(bundle)]


def _told(bundle: Bundle) -> list[tuple[Permission, str]]:
    """Each with what it means to the letter: of a script its text, and what it is given."""
    scripts = [_run(script, entry) for script, entry in bundle.runs]
    secrets = [(permission, "") for script, entry in bundle.runs for permission in _secrets(script, entry)]
    return [*scripts, *secrets, *((permission, "") for permission in _others(bundle))]


def _run(script: BundledScript, entry: dict) -> tuple[Permission, str]:
    words = [*LANGUAGES.get(script.interpreter, []), script.length, *when_words(entry)]
    told = Permission("script", f"runs “{script.name}” as root in the guest ({', '.join(words)})", True)
    return told, canonical_json([*script.meaning, {**entry, "name": ""}])


def _secrets(script: BundledScript, entry: dict) -> list[Permission]:
    return [
        Permission(
            "secret", f"gives “{script.name}” the secret “{name}”, which you choose, as {variable}", True
        )
        for variable, name in (entry.get("secrets") or {}).items()
    ]


def _others(bundle: Bundle) -> list[Permission]:
    settings = bundle.persona.settings
    found = [
        Permission("command", f"runs “{command}” as root in the guest, to check it", True)
        for command in bundle.commands
    ]
    found += _network(bundle)
    if (settings.get("kernel") or {}).get("intent") == "install":
        found.append(
            Permission("kernel", f"installs the kernel {settings['kernel'].get('version', '')}".strip(), True)
        )
    drivers = bundle.driver_set.drivers if bundle.driver_set else []
    packages = [*(settings.get("packages") or []), *(name for driver in drivers for name in driver.packages)]
    modules = [
        *(settings.get("kernel_modules") or []),
        *(name for driver in drivers for name in driver.kernel_modules),
    ]
    if packages:
        found.append(Permission("packages", f"asks for the packages {_listed(packages)}"))
    if modules:
        found.append(Permission("kernel_modules", f"loads the kernel modules {_listed(modules)}"))
    if settings.get("monitoring_tags"):
        found.append(
            Permission("monitoring_tags", f"sets the monitoring tags {_listed(settings['monitoring_tags'])}")
        )
    return found


HIDDEN = {
    "script": "runs a script as root in the guest",
    "secret": "asks for secrets of your department",
    "command": "runs commands as root in the guest, to check it",
    "port": "sets security groups",
    "kernel": "installs a kernel",
    "packages": "asks for packages",
    "kernel_modules": "loads kernel modules",
    "monitoring_tags": "sets monitoring tags",
}


def manifest_hidden(bundle: Bundle) -> list[Permission]:
    """The same kinds once each, without a value: for who has not bought it."""
    kinds: dict[str, bool] = {}
    for each in manifest(bundle):
        kinds[each.kind] = kinds.get(each.kind, False) or each.is_grave
    return [Permission(kind, HIDDEN[kind], is_grave) for kind, is_grave in kinds.items()]


class Delta(NamedTuple):
    """What another release would do that this one did not, and the other way round."""

    gained: list[Permission]
    dropped: list[Permission]


def delta(before: Bundle, after: Bundle) -> Delta:
    """A script whose text has changed counts as gained: somebody has to read it again."""
    old, new = _told(before), _told(after)
    still = [permission for permission, _ in new]
    gained = [permission for permission, meant in new if (permission, meant) not in old]
    return Delta(gained, [permission for permission, _ in old if permission not in still])


def delta_hidden(before: Bundle, after: Bundle) -> Delta:
    """The kinds that are new or gone, without a value: for who has not bought it."""
    old, new = manifest_hidden(before), manifest_hidden(after)
    return Delta([each for each in new if each not in old], [each for each in old if each not in new])


def _network(bundle: Bundle) -> list[Permission]:
    """One for each group and port, with everyone whom it lets in; and one for a group that lets in nobody."""
    groups = bundle.network_profile.security_groups if bundle.network_profile else []
    sources: dict[tuple[str, str], list[str]] = {}
    for group in groups:
        for rule in group.rules:
            sources.setdefault((group.name, _door(rule)), []).append(rule.cidr)
    found = []
    for (group_name, door), cidrs in sources.items():
        to_all = bool(EVERYONE.intersection(cidrs))
        whom = "everyone" if to_all else _listed(cidrs)
        found.append(Permission("port", f"lets in {door} from {whom} ({group_name})", to_all))
    closed = [group.name for group in groups if not group.rules]
    return [*found, *(Permission("port", f"lets nobody in ({name})", True) for name in closed)]


def _door(rule: Rule) -> str:
    """`tcp 5432`, `tcp 8000-8999`, `icmp`"""
    if rule.port_from is None:
        return rule.protocol
    last = "" if rule.port_to == rule.port_from else f"-{rule.port_to}"
    return f"{rule.protocol} {rule.port_from}{last}"


def _listed(words) -> str:
    return ", ".join(dict.fromkeys(words))
