import pytest

from migrations_engine.domain.machine import Rule, SecurityGroup
from migrations_engine.domain.nftables import missing_lines, ruleset

WEB = SecurityGroup("web", (Rule("tcp", 80, 80), Rule("tcp", 443, 443)))
RULES = {
    'tcp dport 80 accept comment "g"': Rule("tcp", 80, 80),
    'tcp dport 8000-8010 accept comment "g"': Rule("tcp", 8000, 8010),
    'ip saddr 10.0.0.0/8 udp dport 53 accept comment "g"': Rule("udp", 53, 53, "10.1.2.3/8"),
    'ip saddr 10.1.2.3 accept comment "g"': Rule("any", cidr="10.1.2.3/32"),
    'ip6 saddr fd00::/8 tcp dport 22 accept comment "g"': Rule("tcp", 22, 22, "fd00::/8"),
    'meta l4proto { 1, 58 } accept comment "g"': Rule("icmp"),
    'meta l4proto 6 accept comment "g"': Rule("tcp"),
    'accept comment "g"': Rule("any"),
}


@pytest.mark.parametrize("line", RULES)
def test_a_rule_is_written_as_nft_lists_it(line):
    assert f"\t\t{line}\n" in ruleset((SecurityGroup("g", (RULES[line],)),))


def test_what_no_rule_admits_is_dropped():
    assert "hook input priority filter; policy drop;" in ruleset((WEB,))


def test_sending_is_free_until_a_group_has_an_egress_rule():
    assert "hook output" not in ruleset((WEB,))
    sending = SecurityGroup("dns", (Rule("udp", 53, 53, "10.0.0.1/32", "egress"),))
    both = ruleset((WEB, sending))
    assert "hook output priority filter; policy drop;" in both
    assert 'ip daddr 10.0.0.1 udp dport 53 accept comment "dns"' in both


def test_loading_replaces_our_table_and_no_other():
    lines = ruleset((WEB,)).splitlines()
    assert lines[:3] == [
        "table inet migration_personas",
        "delete table inet migration_personas",
        "table inet migration_personas {",
    ]
    assert "flush ruleset" not in ruleset((WEB,))


def test_a_groups_name_cannot_end_its_quotes():
    text = ruleset((SecurityGroup('x" accept\n}', (Rule("any"),)),))
    assert 'comment "x accept"' in text


def test_a_rule_that_the_guest_does_not_list_is_missing():
    wanted = ruleset((WEB,))
    assert missing_lines(wanted, wanted) == []
    listed = wanted.replace('\t\ttcp dport 443 accept comment "web"\n', "")
    assert missing_lines(wanted, listed) == ['tcp dport 443 accept comment "web"']


def test_a_policy_that_the_guest_does_not_list_is_missing():
    wanted = ruleset((WEB,))
    assert missing_lines(wanted, wanted.replace("policy drop", "policy accept"))


def test_protocols_listed_by_name_are_the_same_as_by_number():
    wanted = ruleset((SecurityGroup("g", (Rule("icmp"), Rule("udp"))),))
    listed = wanted.replace("{ 1, 58 }", "{ icmp, ipv6-icmp }").replace("l4proto 17", "l4proto udp")
    assert missing_lines(wanted, listed) == []
