"""What a persona brings along: the rows that it points to, resolved into its bundle."""

from typing import NamedTuple

from marketplace.domain.bundle import Bundle


class Dependency(NamedTuple):
    """`kind` for everybody; `name` and `detail` for who may read what is in it."""

    kind: str
    name: str
    detail: str


def dependencies(bundle: Bundle) -> list[Dependency]:
    """In a fixed order; none for a persona that stands alone."""
    found = []
    if drivers := bundle.driver_set:
        found.append(Dependency("Driver set", drivers.name, ", ".join(each.name for each in drivers.drivers)))
    if sizes := bundle.resource_profile:
        found.append(Dependency("Resource profile", sizes.name, _sizes(sizes)))
    if network := bundle.network_profile:
        groups = ", ".join(group.name for group in network.security_groups)
        found.append(Dependency("Network profile", network.name, groups))
    for script in bundle.carried:
        asks = [f"asks for {', '.join(each.name for each in script.parameters)}"] if script.parameters else []
        found.append(Dependency("Script", script.name, ", ".join([script.interpreter, script.length, *asks])))
    return found


def dependencies_hidden(bundle: Bundle) -> list[Dependency]:
    """Their kinds only: for who has not bought it."""
    return [Dependency(each.kind, "", "") for each in dependencies(bundle)]


def _sizes(sizes) -> str:
    units = {"vcpus": "vCPUs", "memory_mib": "MiB memory", "root_disk_gib": "GiB disk"}
    told = {name: getattr(sizes, name) for name in units}
    return ", ".join(f"{value} {units[name]}" for name, value in told.items() if value)
