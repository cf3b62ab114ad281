"""Which addresses a server may call for somebody: not its own network, unless an operator has allowed it."""

import ipaddress
from collections.abc import Iterable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # counts as global, and leads to any IPv4 address
NEVER = (
    ipaddress.ip_network(
        "169.254.0.0/16"
    ),  # the metadata service of a cloud gives away the machine's own rights
    ipaddress.ip_network("fe80::/10"),
    ipaddress.ip_network("0.0.0.0/8"),
    ipaddress.ip_network("::/128"),
)


def refusal(text: str, allowed: Iterable[Network] = ()) -> str:
    """Why this address is not called; empty where it may be."""
    address = _meant(ipaddress.ip_address(text.partition("%")[0]))
    if any(address in network for network in NEVER if network.version == address.version):
        return f"{address} is never called"
    if any(address in network for network in allowed if network.version == address.version):
        return ""
    if not address.is_global or address.is_multicast:
        return f"{address} is a private address, which the operator has not allowed"
    return ""


def _meant(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for (mapped, NAT64, 6to4, Teredo), else itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo[1] if address.teredo else None
    return address.ipv4_mapped or address.sixtofour or teredo or address
