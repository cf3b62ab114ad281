"""Security groups as an nftables ruleset, written as `nft list` shows it: the two are compared line by line."""

import ipaddress
import re

from migrations_engine.domain.machine import Rule, SecurityGroup

TABLE = "inet migration_personas"
NUMBERS = {
    "icmp": "1",
    "tcp": "6",
    "udp": "17",
    "ipv6-icmp": "58",
}  # a guest without /etc/protocols knows no names
ALWAYS_IN = (
    "ct state established,related accept",
    'iif "lo" accept',
    "udp sport 67 udp dport 68 accept",  # DHCP answers come before any connection is known
    "icmpv6 type { nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert } accept",
)
ALWAYS_OUT = (
    "ct state established,related accept",
    'oif "lo" accept',
    "udp sport 68 udp dport 67 accept",
    "icmpv6 type { nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert } accept",
)


def ruleset(groups: tuple[SecurityGroup, ...]) -> str:
    """Replaces our own table only. What no rule admits is dropped; sending is free until a group has an egress rule."""
    rules = [(group, rule) for group in groups for rule in group.rules]
    inward = [_line(group, rule) for group, rule in rules if rule.direction == "ingress"]
    outward = [_line(group, rule) for group, rule in rules if rule.direction == "egress"]
    chains = [_chain("input", "drop", (*ALWAYS_IN, *inward))]
    if outward:
        chains.append(_chain("output", "drop", (*ALWAYS_OUT, *outward)))
    body = "\n".join(chains)
    return f"table {TABLE}\ndelete table {TABLE}\ntable {TABLE} {{\n{body}\n}}\n"


def _chain(name: str, policy: str, lines: tuple[str, ...]) -> str:
    text = "".join(f"\t\t{line}\n" for line in lines)
    return f"\tchain {name} {{\n\t\ttype filter hook {name} priority filter; policy {policy};\n{text}\t}}"


def _line(group: SecurityGroup, rule: Rule) -> str:
    words = [*_address(rule), *_what(rule), "accept", f'comment "{_label(group.name)}"']
    return " ".join(words)


def _address(rule: Rule) -> list[str]:
    network = ipaddress.ip_network(rule.cidr, strict=False)
    if network.prefixlen == 0:
        return []
    family = "ip" if network.version == 4 else "ip6"
    side = "saddr" if rule.direction == "ingress" else "daddr"
    single = network.prefixlen == network.max_prefixlen
    return [family, side, str(network.network_address if single else network)]


def _what(rule: Rule) -> list[str]:
    if rule.protocol == "any":
        return []
    if rule.protocol == "icmp":
        return ["meta l4proto { 1, 58 }"]
    if rule.port_from is None:
        return [f"meta l4proto {NUMBERS[rule.protocol]}"]
    ports = str(rule.port_from) if rule.port_from == rule.port_to else f"{rule.port_from}-{rule.port_to}"
    return [f"{rule.protocol} dport {ports}"]


def _label(name: str) -> str:
    """A group's name as a comment: what could end the quotes or the line is left out."""
    return "".join(letter for letter in name if letter.isalnum() or letter in " ._-")[:64]


def missing_lines(wanted: str, listed: str) -> list[str]:
    """Lines of the ruleset that the guest does not list."""
    seen = {_plain(line) for line in listed.splitlines()}
    lines = (_plain(line) for line in wanted.splitlines())
    return [
        line for line in lines if line and line not in seen and not line.startswith(("delete ", "table "))
    ]


def _plain(line: str) -> str:
    """One space between words; protocols by number, which nft lists by name where the guest knows the name."""
    head, found, tail = " ".join(line.split()).partition("meta l4proto ")
    return (
        head
        + found
        + re.sub(r"\b(icmp|tcp|udp|ipv6-icmp)\b(?=[, ])", lambda name: NUMBERS[name[1]], tail, count=2)
    )
