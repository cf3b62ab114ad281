"""The vocabulary, the columns that store it, and the parts a document points to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personas.domain.drivers import extend, parse_drivers, resolve
from personas.domain.security_groups import dump_groups, from_text, parse_groups, rules_by_name, to_text
from personas.domain.settings import LEAVES, InvalidSettings, validate_document
from personas.models import Persona
from personas.models.settings_columns import COLUMNS, COMPUTED, column_of


def test_every_setting_has_a_column_or_is_computed():
    assert set(COLUMNS) | COMPUTED == set(LEAVES)
    assert not set(COLUMNS) & COMPUTED


def test_every_column_of_the_table_exists():
    for column in COLUMNS.values():
        first, _, rest = column.partition(".")
        field = Persona._meta.get_field(first)
        assert not rest or field.related_model._meta.get_field(rest)


def test_an_error_in_a_list_item_belongs_to_the_list_column():
    assert column_of("packages.3") == "packages"
    assert column_of("resources.vcpus") == "resource_allocation_profile"
    assert column_of("list_modes.packages") == "list_modes"


def test_a_driver_set_resolves_to_unique_modules_packages_and_devices():
    drivers = parse_drivers(
        [
            {"name": "disk", "kernel_modules": ["virtio_blk"], "devices": {"disk": "virtio-blk-pci"}},
            {"name": "net", "kernel_modules": ["virtio_net", "virtio_blk"], "packages": ["ethtool"]},
        ]
    )
    assert resolve(drivers) == {
        "kernel_modules": ["virtio_blk", "virtio_net"],
        "packages": ["ethtool"],
        "devices": {"disk": "virtio-blk-pci"},
    }


def test_an_extending_driver_set_wins_by_name_and_keeps_the_place():
    base = parse_drivers([{"name": "a", "version": "1"}, {"name": "b"}])
    extended = extend(base, parse_drivers([{"name": "a", "version": "2"}, {"name": "c"}]))
    assert [(driver.name, driver.version) for driver in extended] == [("a", "2"), ("b", None), ("c", None)]


@pytest.mark.parametrize(
    ("drivers", "field", "told"),
    [
        ("virtio", "", "valid list"),
        ([{"name": "a"}, {"name": "a"}], "1.name", "already"),
        ([{"name": "a", "kernel_modules": ["no spaces here"]}], "0.kernel_modules.0", "wrong form"),
        ([{"name": "a", "speed": 3}], "0.speed", "no setting"),
        (
            [
                {"name": "a", "devices": {"disk": "ide-hd"}},
                {"name": "b", "devices": {"disk": "virtio-blk-pci"}},
            ],
            "1.devices.disk",
            "drives it as ide-hd",
        ),
    ],
)
def test_a_wrong_driver_is_named(drivers, field, told):
    with pytest.raises(InvalidSettings) as caught:
        parse_drivers(drivers)
    assert [(e["field"], told in e["message"]) for e in caught.value.errors] == [(field, True)]


@pytest.mark.parametrize(
    ("rule", "field", "told"),
    [
        ({"protocol": "tcp"}, "0.rules.0", "needs port_from"),
        ({"protocol": "icmp", "port_from": 1, "port_to": 1}, "0.rules.0", "no ports"),
        ({"protocol": "tcp", "port_from": 9, "port_to": 8}, "0.rules.0", "above"),
        ({"protocol": "icmp", "cidr": "10.0.0.1/8"}, "0.rules.0.cidr", "host bits"),
        ({"protocol": "sctp"}, "0.rules.0.protocol", "'tcp'"),
        ({"protocol": "icmp", "direction": "egress"}, "0.rules.0.direction", "'ingress'"),
    ],
)
def test_a_wrong_rule_is_named(rule, field, told):
    with pytest.raises(InvalidSettings) as caught:
        parse_groups([{"name": "web", "rules": [rule]}])
    assert [(e["field"], told in e["message"]) for e in caught.value.errors] == [(field, True)]


networks = st.sampled_from(["0.0.0.0/0", "10.0.0.0/8", "192.168.7.0/24", "2001:db8::/32"])
ports = st.integers(1, 65535)
served = st.builds(
    lambda protocol, one, other, cidr: {
        "direction": "ingress",
        "protocol": protocol,
        "port_from": min(one, other),
        "port_to": max(one, other),
        "cidr": cidr,
    },
    st.sampled_from(["tcp", "udp"]),
    ports,
    ports,
    networks,
)
pings = st.builds(lambda cidr: {"direction": "ingress", "protocol": "icmp", "cidr": cidr}, networks)
groups = st.lists(
    st.builds(
        lambda name, rules: {"name": name, "rules": rules},
        st.from_regex(r"[a-z0-9][a-z0-9-]{0,20}", fullmatch=True),
        st.lists(served | pings, max_size=4),
    ),
    unique_by=lambda group: group["name"],
    max_size=4,
)


@given(groups)
def test_the_lines_of_a_group_say_what_its_data_say(made):
    assert dump_groups(parse_groups(from_text(to_text(made)))) == made


def test_a_line_that_is_no_rule_is_named_by_its_number():
    with pytest.raises(InvalidSettings) as caught:
        from_text("[web]\ntcp 80\nallow everything\n")
    assert caught.value.errors[0]["field"] == "line 3"


def test_a_rule_before_any_group_is_an_error():
    with pytest.raises(InvalidSettings, match="begin with the group's name"):
        from_text("tcp 80\n")


def test_the_first_profile_that_defines_a_group_wins():
    own, other = (
        [{"name": "web", "rules": [1]}],
        [{"name": "web", "rules": [2]}, {"name": "db", "rules": [3]}],
    )
    assert rules_by_name(["db", "web", "mail"], [own, other]) == ({"db": [3], "web": [1]}, ["mail"])


def test_a_value_of_the_wrong_form_is_told_by_example_not_by_pattern():
    with pytest.raises(InvalidSettings) as refused:
        validate_document({"kernel": {"version": "newest one"}, "packages": ["nginx", "two words"]})
    told = str(refused.value)
    assert "6.1.0-44-cloud-amd64" in told
    assert "postgresql-15" in told
    assert "^" not in told
