"""Security groups as a filter of libvirt (nwfilter), which the hypervisor puts around a machine's card.

The same meaning as the filters in a guest (domain/nftables.py): what no rule admits is dropped; sending is free until a
group has an egress rule. Answers pass: libvirt's rules follow connections. https://libvirt.org/formatnwfilter.html
"""

import ipaddress
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from migrations_engine.domain.machine import Rule, SecurityGroup
from migrations_engine.targets.libvirt.marks import filter_name

ACCEPT, DROP = "500", "1000"  # lower comes first
ICMP = {4: "icmp", 6: "icmpv6"}
NEIGHBOURS = ("134", "135", "136")  # without router and neighbour discovery there is no IPv6
DHCP = (("in", "67", "68"), ("out", "68", "67"))  # an answer comes before any connection is known


def filter_xml(key: str, groups: tuple[SecurityGroup, ...], uuid: str = "") -> str:
    """`uuid`: of the filter that is there already, which libvirt then replaces."""
    made = Element("filter", {"name": filter_name(key), "chain": "root"})
    if uuid:
        ElementTree.SubElement(made, "uuid").text = uuid
    rules = [rule for group in groups for rule in group.rules]
    for direction, source, destination in DHCP:
        _rule(made, "accept", direction, "udp", {"srcportstart": source, "dstportstart": destination})
    for kind in NEIGHBOURS:
        _rule(made, "accept", "inout", "icmpv6", {"type": kind, "state": "NONE"})
    for rule in rules:
        for version in _versions(rule):
            _rule(made, "accept", "in" if rule.direction == "ingress" else "out", *_match(rule, version))
    closed = "inout" if any(rule.direction == "egress" for rule in rules) else "in"
    if closed == "in":
        for protocol in ("all", "all-ipv6"):
            _rule(made, "accept", "out", protocol, {})
    for protocol in ("all", "all-ipv6"):
        _rule(made, "drop", closed, protocol, {}, DROP)
    ElementTree.indent(made)
    return ElementTree.tostring(made, encoding="unicode")


def told(document: Element) -> list[tuple]:
    """What a filter comes to, whatever uuid it has and however it is written: for comparing two of them."""
    return [
        (*(rule.get(name, "") for name in ("action", "direction", "priority")), child.tag, *sorted(_plain(child)))
        for rule in document.iter("rule")
        for child in rule
    ]


def _plain(match: Element) -> list[tuple[str, str]]:
    """libvirt writes a mask as it likes."""
    return [(name, value) for name, value in match.attrib.items() if not name.endswith("mask")]


def _rule(made: Element, action: str, direction: str, protocol: str, match: dict, priority: str = ACCEPT) -> None:
    rule = ElementTree.SubElement(
        made, "rule", {"action": action, "direction": direction, "priority": priority}
    )
    ElementTree.SubElement(rule, protocol, match)


def _versions(rule: Rule) -> tuple[int, ...]:
    network = ipaddress.ip_network(rule.cidr, strict=False)
    return (4, 6) if network.prefixlen == 0 and network.version == 4 else (network.version,)


def _match(rule: Rule, version: int) -> tuple[str, dict[str, str]]:
    protocol = ICMP[version] if rule.protocol == "icmp" else "all" if rule.protocol == "any" else rule.protocol
    if version == 6 and rule.protocol != "icmp":
        protocol += "-ipv6"
    match = _address(rule)
    if rule.port_from is not None:
        match |= {"dstportstart": str(rule.port_from), "dstportend": str(rule.port_to)}
    return protocol, match


def _address(rule: Rule) -> dict[str, str]:
    network = ipaddress.ip_network(rule.cidr, strict=False)
    if network.prefixlen == 0:
        return {}
    side = "src" if rule.direction == "ingress" else "dst"
    return {f"{side}ipaddr": str(network.network_address), f"{side}ipmask": str(network.prefixlen)}
