"""Every parser of text from a disk takes any text at all: it finds less, it never raises."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.domain import apk, dpkg, grub, listening, network_config, pacman, systemd_units
from analyzer.domain.accounts import parse_passwd
from analyzer.domain.facts import OperatingSystem
from analyzer.domain.fstab import Device, names, parse_fstab
from analyzer.domain.image_header import BadHeader, virtual_size
from analyzer.domain.os_release import parse_os_release
from analyzer.domain.ova import BadOva, read_ova
from analyzer.domain.printable import printable
from analyzer.domain.rpm import parse_header

# words that the parsers look for, so that the texts reach further than their first line
WORDS = [
    "menuentry", "submenu", "'", '"', "{", "}", "--id", "linux", "/vmlinuz-6.1", "set default=", "${saved_entry}",
    "Package:", "Status:", "install ok installed", "Version:", "[Install]", "WantedBy=", "ListenStream=", "listen",
    "port", "=", ":", ";", "#", "[::]:", "65536", "80", "bind", "iface", "eth0", "inet", "static", "address", "netmask",
    "[Match]", "Name=", "[Network]", "Address=", "[connection]", "type=ethernet", "[ipv4]", "IPADDR=",
    "NETMASK=", "UUID=", "LABEL=", "\\040", "\\777", "ID=", "ID_LIKE=", "P:", "V:", "%NAME%",
    "\n", "\n\n", " ", "\t", "\0", "\u202e",
]  # fmt: skip
TEXT = st.one_of(st.text(max_size=400), st.lists(st.sampled_from(WORDS), max_size=80).map("".join))

PARSERS = {
    "os-release": parse_os_release,
    "passwd": parse_passwd,
    "dpkg": lambda text: dpkg.mark_manual(dpkg.parse_status(text), dpkg.parse_auto_installed(text), "amd64"),
    "apk": lambda text: apk.parse_installed(text, text),
    "pacman": pacman.parse_desc,
    "fstab": lambda text: [names(Device("p1", "u", "l"), mount.spec) for mount in parse_fstab(text)],
    "grub": lambda text: grub.default_entry(
        grub.parse_menu(text), grub.configured_default(text, {"saved_entry": "x"})
    ),
    "grubenv": grub.parse_environment,
    "loader entry": lambda text: grub.parse_bls(text, "stem"),
    "units": lambda text: (systemd_units.installable(text), systemd_units.listens(text)),
    "interfaces": lambda text: list(network_config.interfaces(text)),
    "networkd": lambda text: list(network_config.networkd(text, "n")),
    "network manager": lambda text: list(network_config.network_manager(text, "n")),
    "ifcfg": lambda text: list(network_config.ifcfg(text, "eth0")),
} | {
    f"listening {each.service}": lambda text, each=each: list(each.parse(text)) for each in listening.DAEMONS
}


@pytest.mark.parametrize("parser", PARSERS)
@settings(max_examples=60, deadline=None)
@given(text=TEXT)
def test_any_text_is_survived_by(parser, text):
    json.dumps(PARSERS[parser](text))


@settings(max_examples=100, deadline=None)
@given(
    document=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "network",
                        "ethernets",
                        "eth0",
                        "addresses",
                        "match",
                        "routes",
                        "nameservers",
                        "gateway4",
                    ]
                ),
                inner,
            )
        ),
        max_leaves=30,
    )
)
def test_any_document_is_survived_by_netplan(document):
    for each in network_config.netplan(document):
        assert all(isinstance(address, str) for address in each["addresses"])


@settings(max_examples=200, deadline=None)
@given(blob=st.binary(max_size=200))
def test_any_bytes_are_survived_by_rpm_and_image_headers(blob):
    try:
        parse_header(blob)
    except ValueError:
        pass  # the one thing it may raise

    def read(offset, length):
        return blob[offset : offset + length]

    for image_format in ("qcow2", "vmdk", "vdi", "vpc", "vhdx"):
        try:
            assert virtual_size(image_format, read, len(blob)) >= 0
        except BadHeader as error:
            assert str(error)
    with pytest.raises(BadOva):
        read_ova(read, len(blob))


@given(text=st.text() | st.binary())
def test_printable_text_is_printable_and_bounded(text):
    shown = printable(text, 64)
    assert len(shown) <= 64
    OperatingSystem(name=shown)  # the contract takes it
