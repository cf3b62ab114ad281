"""The network: what nobody enforces there, and addresses that will not come along."""

import re
from collections.abc import Iterable

from migrations_engine.domain.concerns.outlook import Concern, Outlook, Severity
from migrations_engine.domain.settings_path import leaf

# As the kernel and systemd name Ethernet cards: no bridge, VLAN, bond, alias or pattern
CARD_NAME = re.compile(r"(eth|en[opsx])[a-z0-9]+")


def _one_card(o: Outlook) -> Iterable[Concern]:
    """By the source's own list of cards; where it has none, by what the guest configures."""
    cards, left = list(o.cards), list(o.cards[1:])
    if not cards and o.facts is not None:
        named = {nic.name for nic in o.facts.nics if CARD_NAME.fullmatch(nic.name)}
        cards = left = sorted(named)
    if len(cards) > 1:
        which = "Left behind:" if o.cards else "Left behind are all but one of"
        yield Concern(
            "network.one_card",
            "Network",
            Severity.WARNING,
            f"The machine has {len(cards)} network cards, and its copy gets one. {which} {_listed(left, 8)}.",
            "Add the other cards at the target after the migration, or accept that their networks are not reached.",
        )


def _enforcement(o: Outlook) -> Iterable[Concern]:
    for row in o.enforcement:
        if row.by == "nobody":
            yield Concern(
                f"enforcement.{row.setting}",
                "Network",
                Severity.WARNING,
                f"Nobody enforces {row.setting} = {row.value}: {row.how}.",
                "Install the tool in the machine, or accept that it is recorded only.",
                row.setting,
            )


def _fixed_addresses(o: Outlook) -> Iterable[Concern]:
    if o.facts is None or leaf(o.settings, "network.addressing", "keep") == "dhcp":
        return
    static = [nic for nic in o.facts.nics if nic.addressing == "static" and nic.addresses]
    fixed = [address for nic in static for address in nic.addresses]
    one_card = len({nic.name for nic in static}) == 1
    kept = "The machine keeps" if one_card else "With one card the machine keeps the addresses of one network only of"
    if fixed:
        yield Concern(
            "network.fixed_address",
            "Network",
            Severity.WARNING,
            f"{kept} {_listed(fixed)}: it answers there only on the same network, and while the source"
            " runs there as well, both claim it.",
            "Set `network.addressing` to `dhcp`, or switch the source off before the copy starts.",
            "network.addressing",
        )


def _card_by_mac(o: Outlook) -> Iterable[Concern]:
    """The copy gets a card of its own, so that source and copy never have one MAC address on one network."""
    if o.facts is None or leaf(o.settings, "network.addressing", "keep") == "dhcp":
        return
    for nic in o.facts.nics:
        if nic.mac:
            yield Concern(
                "network.bound_to_mac",
                "Network",
                Severity.WARNING,
                f"The configuration of {nic.name} ({nic.source or 'unknown file'}) asks for the card {nic.mac}; the"
                " copy has another, so that the two never meet on one network.",
                "Set `network.addressing` to `dhcp`, or let the configuration name the card instead.",
                "network.addressing",
            )


def _listed(addresses: list[str], most: int = 3) -> str:
    more = len(addresses) - most
    return ", ".join(addresses[:most]) + (f" and {more} more" if more > 0 else "")


RULES = (_one_card, _enforcement, _fixed_addresses, _card_by_mac)
