"""The way into the guest, and the software that is wanted in it."""

from collections.abc import Iterable

from migrations_engine.domain.access import Access
from migrations_engine.domain.concerns.outlook import Concern, Outlook, Severity
from migrations_engine.domain.concerns.storage import mib
from migrations_engine.domain.script_delivery import is_for

INTERPRETER_PACKAGES = {
    "python3": ("python3", "python3-minimal", "python3.11"),
    "bash": ("bash",),
    "pwsh": ("powershell", "powershell-preview", "powershell-lts"),
}


def _access(o: Outlook) -> Iterable[Concern]:
    if o.access.way == "none":
        yield Concern(
            "access.no_agent",
            "Access",
            Severity.CRITICAL,
            f"The guest has no guest agent, and none can be installed in the copy: {o.access.reason}.",
            "Install qemu-guest-agent in the machine, then scan it again.",
            "guest",
        )
    elif o.access.is_brought:
        yield Concern(
            "access.agent_brought",
            "Access",
            Severity.WARNING if o.access.origin else Severity.INFORMATION,
            _brought(o.access),
            "Install qemu-guest-agent in the machine where it should have the package of its own distribution."
            if o.access.origin
            else "",
            "guest",
        )


def _brought(access: Access) -> str:
    names = ", ".join(package.replace("=", " ", 1) for package in access.packages)
    made_for = f", made for {access.origin}," if access.origin else ""
    how = {"offline": "put on its disk", "seed": "brought by cloud-init, if it is switched on in the guest"}
    return (
        f"The guest has no guest agent: {names}{made_for} will be installed in the copy at its first boot"
        f" ({how[access.way]}). The source is not touched."
    )


def _packages(o: Outlook) -> Iterable[Concern]:
    adds = ", ".join(each.replace("=", " ", 1) for each in o.software.adds)
    if adds:
        yield Concern(
            "packages.added",
            "Software",
            Severity.INFORMATION,
            f"Installed in the copy at its first boot: {adds}"
            f" ({mib(o.software.fetch_bytes)} to fetch, {mib(o.software.installed_bytes)} on the disk)."
            " The source is not touched.",
            "",
            "packages",
        )
    for each in o.software.in_state("lacking"):
        yield Concern(
            "packages.missing",
            "Software",
            Severity.WARNING,
            f"{each.name} is not in the machine and cannot be installed in its copy: {each.reason}.",
            "Install it in the machine and scan it again, or take it out of the persona, template or driver set.",
            "packages",
        )


def _scripts(o: Outlook) -> Iterable[Concern]:
    for script in o.scripts:
        if problems := script.get("problems"):
            yield Concern(
                "script.problems",
                "Scripts",
                Severity.CRITICAL,
                f"The script {script['name']} can't run so. {' '.join(problems)}",
                "Give its parameters and secrets in the entry of the persona or template.",
                "post_migration.scripts",
            )
        if o.facts is not None and not is_for(script, o.facts.os.id):
            yield Concern(
                "script.other_system",
                "Scripts",
                Severity.INFORMATION,
                f"The script {script['name']} is for {', '.join(script['os'])} and is skipped on this machine.",
                "",
                "post_migration.scripts",
            )
        else:
            yield from _interpreter(o, script)


def _interpreter(o: Outlook, script) -> Iterable[Concern]:
    """Only where the packages are known."""
    if o.facts is None or o.facts.covered("packages").state != "full":
        return
    installed = {package.name for package in o.facts.packages} | o.software.added_names
    packages = INTERPRETER_PACKAGES.get(script["interpreter"])
    if packages and not installed.intersection(packages):
        yield Concern(
            "script.interpreter_missing",
            "Software",
            Severity.CRITICAL,
            f"The script {script['name']} needs {script['interpreter']}, which the machine does not have.",
            "Rewrite it for sh, or install the interpreter in the machine.",
            "post_migration.scripts",
        )


RULES = (_access, _packages, _scripts)
