"""Who makes each setting true on a QEMU target, known before the run. Pure."""

from dataclasses import dataclass

from analyzer.domain.facts import Facts
from migrations_engine.domain.machine import Enforcement, MachineSpec


@dataclass(frozen=True)
class Network:
    """What the network of a target does by itself. `reach`: who gets to the guest when nobody filters."""

    name: str = "user networking"
    limits: bool = False
    filters: bool = False
    reach: str = "only forwarded ports reach it"


USER_NETWORK = Network()


def enforcement(
    spec: MachineSpec, facts: Facts, network: Network = USER_NETWORK
) -> tuple[Enforcement, ...]:
    """One row for each setting that the specification carries."""
    rows = [
        Enforcement("resources.vcpus", str(spec.vcpus), "hypervisor", "QEMU gives that many processors"),
        Enforcement(
            "resources.memory_mib", str(spec.memory_mib), "hypervisor", "QEMU gives that much memory"
        ),
        Enforcement("firmware", spec.firmware, "hypervisor", "QEMU starts it"),
        Enforcement("storage.bus", spec.disk_bus, "hypervisor", "QEMU attaches the disk to it"),
    ]
    if spec.bandwidth_mbps is not None:
        rows.append(_bandwidth(spec.bandwidth_mbps, facts, network))
    rows += [_security_group(group.name, facts, network) for group in spec.security_groups]
    rows += [
        Enforcement(f"monitoring_tags.{name}", value, "hypervisor", "kept in the machine's record")
        for name, value in sorted(spec.tags.items())
    ]
    return tuple(rows)


def _bandwidth(mbps: int, facts: Facts, network: Network) -> Enforcement:
    setting = "network.bandwidth_mbps"
    if network.limits:
        return Enforcement(setting, str(mbps), "hypervisor", "a limit on its card, both ways")
    if not facts.has_guest_agent:
        return Enforcement(
            setting,
            str(mbps),
            "nobody",
            f"{network.name} has no limit, and no agent can set one in the guest",
        )
    if not facts.has_tc:
        return Enforcement(
            setting, str(mbps), "nobody", f"{network.name} has no limit, and the guest has no tc (iproute2)"
        )
    return Enforcement(
        setting, str(mbps), "guest", "a token bucket (tc tbf) on what it sends, set at every boot"
    )


def _security_group(name: str, facts: Facts, network: Network) -> Enforcement:
    setting = "network.security_groups"
    if network.filters:
        return Enforcement(setting, name, "hypervisor", "a filter around its card (nwfilter)")
    if not facts.has_guest_agent:
        return Enforcement(
            setting, name, "nobody", f"no agent can load filters in the guest; {network.reach}"
        )
    if not facts.has_nft:
        return Enforcement(
            setting, name, "nobody", f"the guest has no nftables; {network.reach}"
        )
    return Enforcement(
        setting, name, "guest", f"nftables, loaded at every boot; from outside {network.reach}"
    )
