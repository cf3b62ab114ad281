"""Who makes each setting true on a QEMU target, known before the run. Pure."""

from analyzer.domain.facts import Facts
from migrations_engine.domain.machine import Enforcement, MachineSpec


def enforcement(spec: MachineSpec, facts: Facts) -> tuple[Enforcement, ...]:
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
        rows.append(_bandwidth(spec.bandwidth_mbps, facts))
    rows += [_security_group(group.name, facts) for group in spec.security_groups]
    rows += [
        Enforcement(f"monitoring_tags.{name}", value, "hypervisor", "kept in the machine's record")
        for name, value in sorted(spec.tags.items())
    ]
    return tuple(rows)


def _bandwidth(mbps: int, facts: Facts) -> Enforcement:
    setting = "network.bandwidth_mbps"
    if not facts.has_guest_agent:
        return Enforcement(
            setting,
            str(mbps),
            "nobody",
            "user networking has no limit, and no agent can set one in the guest",
        )
    if not facts.has_tc:
        return Enforcement(
            setting, str(mbps), "nobody", "user networking has no limit, and the guest has no tc (iproute2)"
        )
    return Enforcement(
        setting, str(mbps), "guest", "a token bucket (tc tbf) on what it sends, set at every boot"
    )


def _security_group(name: str, facts: Facts) -> Enforcement:
    setting = "network.security_groups"
    if not facts.has_guest_agent:
        return Enforcement(
            setting, name, "nobody", "no agent can load filters in the guest; only forwarded ports reach it"
        )
    if not facts.has_nft:
        return Enforcement(
            setting, name, "nobody", "the guest has no nftables; only forwarded ports reach it"
        )
    return Enforcement(
        setting, name, "guest", "nftables, loaded at every boot; from outside only forwarded ports reach it"
    )
