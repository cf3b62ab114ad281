import pytest

from migrations_engine.domain.machine import FirstBoot, Forward, MachineSpec, Rule, SpecError


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("protocol", {"protocol": "gre"}),
        ("direction", {"protocol": "tcp", "direction": "sideways"}),
        ("both ports", {"protocol": "tcp", "port_from": 80}),
        ("ports 90-80", {"protocol": "tcp", "port_from": 90, "port_to": 80}),
        ("ports 0-80", {"protocol": "tcp", "port_from": 0, "port_to": 80}),
        ("icmp has no ports", {"protocol": "icmp", "port_from": 8, "port_to": 8}),
        ("cidr", {"protocol": "tcp", "cidr": "10.0.0.0/33"}),
    ],
)
def test_a_rule_that_cannot_be_is_refused_with_its_field(field, values):
    with pytest.raises(SpecError, match=field):
        Rule(**values)


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("key", {"key": "../etc"}),
        ("key", {"key": "a b"}),
        ("vcpus", {"vcpus": 0}),
        ("memory_mib", {"memory_mib": 1}),
        ("bandwidth_mbps", {"bandwidth_mbps": 0}),
    ],
)
def test_a_machine_that_cannot_be_is_refused_with_its_field(field, values):
    with pytest.raises(SpecError, match=field):
        MachineSpec(**{"key": "run-1", "name": "web", "vcpus": 1, "memory_mib": 128, **values})


def test_a_forward_outside_the_ports_is_refused():
    with pytest.raises(SpecError, match="guest_port"):
        Forward(70000)


@pytest.mark.parametrize("hostname", ["", "-web", "web\nreboot", "a" * 64, "web;rm", "web..de"])
def test_a_hostname_that_is_none_is_refused(hostname):
    with pytest.raises(SpecError, match="hostname"):
        FirstBoot(hostname=hostname)


@pytest.mark.parametrize("field", ["kernel", "nic_name"])
def test_what_would_leave_its_line_in_a_configuration_file_is_refused(field):
    with pytest.raises(SpecError, match=field):
        FirstBoot(**{field: 'x"\nset default=0'})


def test_a_module_name_with_a_path_is_refused():
    with pytest.raises(SpecError, match="kernel_modules"):
        FirstBoot(kernel_modules=("../evil",))
