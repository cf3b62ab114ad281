"""Connection URIs: what is let through, and that nothing runs a program, reads a file or switches a check off."""

import pytest

from analyzer.domain.libvirt_address import BadAddress, LibvirtAddress, parse_libvirt_address


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("qemu:///system", LibvirtAddress("qemu", "system")),
        ("qemu+unix:///system?socket=/run/x/sock", LibvirtAddress("qemu", "system", socket="/run/x/sock")),
        ("qemu:///session?socket=/run/user/7/s", LibvirtAddress("qemu", "session", socket="/run/user/7/s")),
        (
            "qemu+ssh://root@Host.example:2222/system",
            LibvirtAddress("qemu", "system", "host.example", 2222, "root", "/run/libvirt/libvirt-sock"),
        ),
        (
            "qemu+ssh://[2001:db8::1]/system?socket=/var/run/s",
            LibvirtAddress("qemu", "system", "2001:db8::1", 22, "", "/var/run/s"),
        ),
        ("test:///default", LibvirtAddress("test", "default")),
    ],
)
def test_what_we_know_is_let_through(text, expected):
    address = parse_libvirt_address(text)
    assert address == expected
    assert parse_libvirt_address(str(address)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "qemu+ssh://host/system?command=/bin/sh",
        "qemu+ssh://host/system?netcat=touch%20/tmp/x",
        "qemu+ssh://host/system?keyfile=/etc/shadow",
        "qemu+ssh://host/system?no_verify=1",
        "qemu+ssh://host/system?socket=/run/s&command=sh",
        "qemu+ssh://host/system?socket=/run/s&socket=/run/t",
        "qemu+ssh://host/system?socket=/run/$(id)",
        "qemu+ssh://host/system?socket=/run/../etc/x",
        "qemu+ssh://-oProxyCommand=sh/system",
        "qemu+ssh://a:secret@host/system",
        "qemu+ssh://host/session",
        "qemu+ssh://host/system#x",
        "qemu+ext://host/system?command=sh",
        "qemu+tcp://host/system",
        "qemu+libssh2://host/system",
        "qemu+unix:///embed?root=/tmp/x",
        "qemu:///session",
        "test:///etc/passwd",
        "lxc:///",
        "qemu+unix://[x/system",
        "qemu:///system\n--help",
        "qemu+unix:///system?socket",
    ],
)
def test_the_rest_is_refused(text):
    with pytest.raises(BadAddress):
        parse_libvirt_address(text)
