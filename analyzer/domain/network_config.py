"""Network interfaces as configured: ifupdown, netplan, systemd-networkd, NetworkManager, ifcfg files.

Each parser: text in, interfaces in the shape of facts.Nic out (without `source`).
"""

import ipaddress
import re
from collections.abc import Iterator


def nic(name: str, **values) -> dict:
    empty = {"mac": None, "addressing": "unknown", "addresses": [], "gateway": None, "nameservers": []}
    return {"name": name} | empty | values


def _addressing(addresses: list, dhcp: object) -> str:
    return "static" if addresses else "dhcp" if dhcp else "unknown"


def with_prefix(address: str, mask: str | None) -> str:
    """ "10.0.0.5/24" of ("10.0.0.5", "255.255.255.0") or ("10.0.0.5", "24"); the address alone if unsure."""
    if "/" in address or not mask:
        return address
    try:
        return str(ipaddress.ip_interface(f"{address}/{mask}"))
    except ValueError:
        return address


def interfaces(text: str) -> Iterator[dict]:
    """Debian's `/etc/network/interfaces`."""
    found: dict[str, dict] = {}
    current, mask = None, {}
    for line in text.splitlines():
        words = line.split("#")[0].split()
        if not words:
            continue
        if words[0] == "iface" and len(words) >= 4:
            current = None if words[1] == "lo" else found.setdefault(words[1], nic(words[1]))
            if current is not None and words[3] == "static":
                current["addressing"] = "static"
            elif current is not None and words[3] in ("dhcp", "auto") and current["addressing"] == "unknown":
                current["addressing"] = "dhcp"  # a static IPv4 beside an automatic IPv6 stays static
        elif words[0] in ("auto", "allow-hotplug", "allow-auto", "mapping", "source", "source-directory"):
            current = None
        elif current is not None and len(words) >= 2:
            _interface_option(current, words, mask)
    for each in found.values():
        each["addresses"] = [with_prefix(address, mask.get(each["name"])) for address in each["addresses"]]
        yield each


def _interface_option(current: dict, words: list[str], mask: dict[str, str]) -> None:
    match words[0]:
        case "address":
            current["addresses"].append(words[1])
        case "netmask":
            mask[current["name"]] = words[1]
        case "gateway":
            current["gateway"] = words[1]
        case "hwaddress":
            current["mac"] = words[-1].lower()
        case "dns-nameservers":
            current["nameservers"] = words[1:17]


def networkd(text: str, name: str) -> Iterator[dict]:
    """A `.network` file; `name` (the file's stem) stands in where it matches no interface name."""
    values: dict[tuple[str, str], list[str]] = {}
    section = ""
    for line in text.splitlines():
        line = line.strip()
        if line.startswith("["):
            section = line.strip("[]")
        elif "=" in line and not line.startswith(("#", ";")):
            key, _, value = line.partition("=")
            values.setdefault((section, key.strip()), []).append(value.strip())
    addresses = values.get(("Network", "Address"), []) + values.get(("Address", "Address"), [])
    dhcp = values.get(("Network", "DHCP"), ["no"])[-1].lower() in ("yes", "true", "ipv4", "ipv6", "1", "on")
    if ("Match", "Name") not in values and ("Match", "MACAddress") not in values:
        return
    gateways = values.get(("Network", "Gateway"), []) + values.get(("Route", "Gateway"), [])
    yield nic(
        values.get(("Match", "Name"), [name])[0],
        mac=values.get(("Match", "MACAddress"), [None])[0],
        addressing=_addressing(addresses, dhcp),
        addresses=addresses,
        gateway=gateways[0] if gateways else None,
        nameservers=" ".join(values.get(("Network", "DNS"), [])).split()[:16],
    )


def netplan(document: object) -> Iterator[dict]:
    """A netplan document, already read from YAML; anything of the wrong shape is passed over."""
    network = document.get("network") if isinstance(document, dict) else None
    for kind in ("ethernets", "bonds", "bridges", "vlans", "wifis"):
        group = network.get(kind) if isinstance(network, dict) else None
        for name, values in group.items() if isinstance(group, dict) else ():
            if isinstance(name, str) and isinstance(values, dict):
                yield _netplan_nic(name, values)


def _netplan_nic(name: str, values: dict) -> dict:
    # an address may be a map whose one key is the address: {"10.0.0.5/24": {"label": "eth0:1"}}
    entries = _list(values.get("addresses"))
    addresses = _texts([next(iter(each), None) if isinstance(each, dict) else each for each in entries])
    routes = [each for each in _list(values.get("routes")) if isinstance(each, dict)]
    defaults = [each.get("via") for each in routes if each.get("to") in ("default", "0.0.0.0/0", "::/0")]
    gateways = _texts([values.get("gateway4"), *defaults])
    match, servers = values.get("match"), values.get("nameservers")
    mac = match.get("macaddress") if isinstance(match, dict) else values.get("macaddress")
    return nic(
        name,
        mac=mac.lower() if isinstance(mac, str) else None,
        addressing=_addressing(addresses, values.get("dhcp4") or values.get("dhcp6")),
        addresses=addresses,
        gateway=gateways[0] if gateways else None,
        nameservers=_texts(_list(servers.get("addresses") if isinstance(servers, dict) else None)),
    )


def _list(value: object) -> list:
    return value if isinstance(value, list) else []


def _texts(values: list) -> list[str]:
    """Only the texts: `str()` of nested YAML aliases can be larger than any memory."""
    return [each for each in values if isinstance(each, str)]


def network_manager(text: str, name: str) -> Iterator[dict]:
    """A NetworkManager keyfile (`*.nmconnection`); `name` (its stem) where it binds to no interface."""
    values: dict[str, dict[str, str]] = {}
    section = ""
    for line in text.splitlines():
        line = line.strip()
        if line.startswith("["):
            section = line.strip("[]")
        elif "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            values.setdefault(section, {})[key.strip()] = value.strip()
    connection, ipv4 = values.get("connection", {}), values.get("ipv4", {})
    if connection.get("type") not in ("ethernet", "802-3-ethernet", "bond", "bridge", "vlan", "wifi"):
        return
    pairs = [value.split(",") for key, value in sorted(ipv4.items()) if re.fullmatch(r"address(es)?\d*", key)]
    gateways = [pair[1] for pair in pairs if len(pair) > 1] + [ipv4.get("gateway")]
    yield nic(
        connection.get("interface-name", name),
        mac=values.get("ethernet", {}).get("mac-address", "").lower() or None,
        addressing={"manual": "static", "auto": "dhcp"}.get(ipv4.get("method", ""), "unknown"),
        addresses=[pair[0] for pair in pairs],
        gateway=next(filter(None, gateways), None),
        nameservers=[each for each in ipv4.get("dns", "").split(";") if each][:16],
    )


def ifcfg(text: str, name: str) -> Iterator[dict]:
    """A RHEL or SUSE `ifcfg-NAME` file."""
    if name == "lo":
        return
    lines = re.findall(r"^([A-Z0-9_]+)=(.*?)\s*$", text, re.MULTILINE)
    values = {key: value.strip("\"'") for key, value in lines}
    addresses = []
    for key in sorted(values):
        if re.fullmatch(r"IPADDR\d*", key) and values[key]:
            number = key.removeprefix("IPADDR")
            mask = values.get(f"PREFIX{number}") or values.get(f"NETMASK{number}")
            addresses.append(with_prefix(values[key], mask))
    dhcp = values.get("BOOTPROTO", "").lower().startswith(("dhcp", "bootp"))
    yield nic(
        values.get("DEVICE") or name,
        mac=(values.get("HWADDR") or "").lower() or None,
        addressing=_addressing(addresses, dhcp),
        addresses=addresses,
        gateway=values.get("GATEWAY") or None,
        nameservers=[values[key] for key in sorted(values) if re.fullmatch(r"DNS\d", key) and values[key]],
    )
