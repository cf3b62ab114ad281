"""os-release, passwd, fstab, units, network files, ELF."""

import pytest

from analyzer.domain import network_config
from analyzer.domain.accounts import parse_passwd
from analyzer.domain.architecture import elf_machine
from analyzer.domain.fstab import Device, names, parse_fstab
from analyzer.domain.os_release import parse_os_release
from analyzer.domain.systemd_units import UnitFile, installable, listens, unit_states


def test_os_release_is_unquoted_and_given_a_family():
    found = parse_os_release(
        'ID=rocky\nVERSION_ID="9.3"\nID_LIKE=\'rhel centos fedora\'\nPRETTY_NAME="a \\"b\\""\n#x\n'
    )
    assert (found["id"], found["version"], found["family"], found["pretty_name"]) == (
        "rocky",
        "9.3",
        "rhel",
        'a "b"',
    )
    assert parse_os_release("ID=opensuse-leap\n")["family"] == "suse"
    assert parse_os_release("garbage\0")["family"] == "unknown"


def test_passwd_tells_who_can_log_in_and_drops_broken_lines():
    text = "root:x:0:0::/root:/bin/bash\nwww:x:33:33::/var/www:/usr/sbin/nologin\nsh:x:5:5::/:\n"
    text += "bad\nx:x:-1:0:::\n:x:1:1:::\n"
    found = parse_passwd(text)
    assert [(user["name"], user["can_login"]) for user in found] == [
        ("root", True),
        ("www", False),
        ("sh", True),
    ]


@pytest.mark.parametrize(
    ("spec", "device", "same"),
    [
        ("UUID=AB-12", Device("p1", uuid="ab-12"), True),
        ("UUID=AB-13", Device("p1", uuid="ab-12"), False),
        ("LABEL=Root", Device("p1", label="Root"), True),
        ("LABEL=root", Device("p1", label="Root"), False),
        ("PARTUUID=aa-02", Device("p2", partition_uuid="aa-02"), True),
        ("UUID=", Device("p1"), False),
        ("/dev/vda2", Device("p2"), True),
        ("/dev/nvme0n1p2", Device("p2"), True),
        ("/dev/vda3", Device("p2"), False),
        ("/dev/mapper/vg--main-root", Device("vg-main/root"), True),
        ("/dev/vg-main/root", Device("vg-main/root"), True),
        ("/dev/disk/by-uuid/ab", Device("p1", uuid="AB"), True),
    ],
)
def test_fstab_names_a_device(spec, device, same):
    assert names(device, spec) is same


def test_fstab_lines_are_unescaped():
    mounts = parse_fstab("# x\nLABEL=a\\040b /mnt/a\\040b ext4 defaults 0 2\n\nnonsense\n")
    assert [(each.spec, each.point) for each in mounts] == [("LABEL=a b", "/mnt/a b")]


ETC, LIB = "/etc/systemd/system", "/usr/lib/systemd/system"
INSTALL = "[Install]\nWantedBy=multi-user.target\n"


def test_unit_states_are_those_of_systemctl():
    files = {
        "on.service": UnitFile(LIB, INSTALL),
        "off.service": UnitFile(LIB, INSTALL),
        "static.service": UnitFile(LIB, "[Service]\n"),
        "gone.service": UnitFile(ETC, masked=True),
        "alias.service": UnitFile(ETC, alias=True),
        "getty@.service": UnitFile(LIB, INSTALL),
        "x.slice": UnitFile(LIB, INSTALL),
    }
    found = unit_states(files, {"on.service", "getty@tty1.service", "nowhere.service"})
    assert [(unit["name"], unit["state"]) for unit in found] == [
        ("getty@.service", "enabled"),
        ("getty@tty1.service", "enabled"),
        ("gone.service", "masked"),
        ("off.service", "disabled"),
        ("on.service", "enabled"),
    ]


def test_also_alone_makes_a_unit_not_installable():
    assert not installable("[Install]\nAlso=other.socket\n")
    assert installable("[Unit]\n[Install]\nAlias=dbus-x.service\n")
    assert not installable("[Unit]\nWantedBy=x\n")


def test_sockets_listen_on_network_ports_only():
    text = "[Socket]\nListenStream=/run/x\nListenStream=22\nListenDatagram=[::]:53\nListenStream=@abstract\n"
    assert listens(text) == [("tcp", "22"), ("udp", "[::]:53")]


def nics(found):
    return [
        (nic["name"], nic["addressing"], nic["addresses"], nic["gateway"], nic["nameservers"])
        for nic in found
    ]


def test_ifupdown():
    text = """auto lo eth0
iface lo inet loopback
iface eth0 inet static
    address 10.0.0.5
    netmask 255.255.255.0
    gateway 10.0.0.1
    dns-nameservers 9.9.9.9 1.1.1.1
iface eth0 inet6 auto
allow-hotplug eth1
iface eth1 inet dhcp
"""
    assert nics(network_config.interfaces(text)) == [
        ("eth0", "static", ["10.0.0.5/24"], "10.0.0.1", ["9.9.9.9", "1.1.1.1"]),
        ("eth1", "dhcp", [], None, []),
    ]


def test_networkd():
    text = "[Match]\nName=ens3\n[Network]\nAddress=10.0.0.5/24\nGateway=10.0.0.1\nDNS=9.9.9.9\n"
    assert nics(network_config.networkd(text, "10-x")) == [
        ("ens3", "static", ["10.0.0.5/24"], "10.0.0.1", ["9.9.9.9"])
    ]
    assert list(network_config.networkd("[Match]\nType=ether\n[Network]\nDHCP=yes\n", "10-x")) == []


def test_netplan_of_any_shape():
    document = {
        "network": {
            "ethernets": {
                "a": {"dhcp4": True},
                "b": {
                    "addresses": ["10.0.0.5/24", {"10.0.0.6/24": {"label": "x"}}],
                    "routes": [{"to": "default", "via": "10.0.0.1"}],
                    "nameservers": {"addresses": ["9.9.9.9"]},
                },
                "c": None,
                5: {},
            }
        }
    }
    assert nics(network_config.netplan(document)) == [
        ("a", "dhcp", [], None, []),
        ("b", "static", ["10.0.0.5/24", "10.0.0.6/24"], "10.0.0.1", ["9.9.9.9"]),
    ]
    for nonsense in (
        None,
        [],
        {"network": []},
        {"network": {"ethernets": {"a": {"addresses": {"x": 1}, "match": 3}}}},
    ):
        assert all(nic["addresses"] == [] for nic in network_config.netplan(nonsense))


def test_network_manager():
    text = "[connection]\ntype=ethernet\ninterface-name=ens3\n"
    text += "[ipv4]\nmethod=manual\naddress1=10.0.0.5/24,10.0.0.1\ndns=9.9.9.9;\n"
    assert nics(network_config.network_manager(text, "x")) == [
        ("ens3", "static", ["10.0.0.5/24"], "10.0.0.1", ["9.9.9.9"])
    ]
    assert list(network_config.network_manager("[connection]\ntype=loopback\n", "lo")) == []


def test_ifcfg():
    text = 'DEVICE="eth0"\nBOOTPROTO=none\nIPADDR=10.0.0.5\nPREFIX=24\nGATEWAY=10.0.0.1\nDNS1=9.9.9.9\n'
    text += "HWADDR=52:54:00:AA:BB:CC\n"
    assert nics(network_config.ifcfg(text, "eth0")) == [
        ("eth0", "static", ["10.0.0.5/24"], "10.0.0.1", ["9.9.9.9"])
    ]
    assert next(iter(network_config.ifcfg(text, "eth0")))["mac"] == "52:54:00:aa:bb:cc"


def test_architecture_is_the_elf_machine():
    assert elf_machine(b"\x7fELF\x02\x01" + bytes(12) + b"\x3e\0") == "x86_64"
    assert elf_machine(b"\x7fELF\x02\x02" + bytes(12) + b"\0\x16") == "s390x"
    assert elf_machine(b"#!/bin/sh") == ""
