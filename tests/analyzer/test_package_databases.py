"""dpkg, rpm, apk, pacman."""

import struct

import pytest

from analyzer.domain import apk, dpkg, pacman, rpm

STATUS = """\
Package: adduser
Status: install ok installed
Architecture: all
Section: admin
Version: 3.134
Description: add users
 Package: this is no field

Package: libssl3
Status: hold ok installed
Architecture: amd64
Version: 3.0.15-1

Package: removed
Status: deinstall ok config-files
Architecture: amd64
Version: 1

Package: broken
Status: install ok half-configured
Architecture: amd64
Version: 1
"""


def test_dpkg_counts_what_is_installed():
    assert [(each["name"], each["version"]) for each in dpkg.parse_status(STATUS)] == [
        ("adduser", "3.134"),
        ("libssl3", "3.0.15-1"),
    ]


def test_dpkg_marks_as_manual_what_apt_did_not_bring():
    states = "Package: adduser\nArchitecture: amd64\nAuto-Installed: 1\n\n"
    states += "Package: libssl3\nArchitecture: amd64\nAuto-Installed: 0\n"
    automatic = dpkg.parse_auto_installed(states)
    marked = dpkg.mark_manual(dpkg.parse_status(STATUS), automatic, "amd64")
    assert {each["name"]: each["manual"] for each in marked} == {"adduser": False, "libssl3": True}


def test_a_package_of_another_architecture_is_judged_by_its_own():
    packages = [{"name": "libc6", "architecture": "i386"}, {"name": "libc6", "architecture": "amd64"}]
    marked = dpkg.mark_manual(packages, {("libc6", "i386")}, "amd64")
    assert [each["manual"] for each in marked] == [False, True]


def rpm_header(values: dict[int, tuple[int, bytes]]) -> bytes:
    index = data = b""
    for tag, (kind, raw) in values.items():
        data += bytes(-len(data) % 4)
        index += struct.pack(">IIII", tag, kind, len(data), 1)
        data += raw
    return struct.pack(">II", len(values), len(data)) + index + data


def test_rpm_header_gives_name_epoch_version_release():
    blob = rpm_header(
        {
            1000: (6, b"bash\0"),
            1001: (6, b"5.1\0"),
            1002: (6, b"9.el9\0"),
            1003: (4, struct.pack(">I", 2)),
            1022: (6, b"x86_64\0"),
            1016: (9, b"Shells\0"),
        }
    )
    assert rpm.parse_header(blob) == {
        "name": "bash",
        "version": "2:5.1-9.el9",
        "architecture": "x86_64",
        "section": "Shells",
    }


def test_a_signing_key_is_no_package():
    assert rpm.parse_header(rpm_header({1000: (6, b"gpg-pubkey\0")})) is None


@pytest.mark.parametrize(
    "blob", [b"", b"\0" * 7, struct.pack(">II", 2**31, 0), struct.pack(">II", 1, 2**31) + bytes(16)]
)
def test_a_blob_that_is_no_header_is_refused(blob):
    with pytest.raises(ValueError, match="rpm header"):
        rpm.parse_header(blob)


def test_an_offset_outside_the_header_is_passed_over():
    blob = struct.pack(">II", 1, 4) + struct.pack(">IIiI", 1000, 6, 400, 1) + b"abc\0"
    assert rpm.parse_header(blob) is None


def test_apk_marks_the_world_as_manual():
    text = "C:Q1\nP:musl\nV:1.2.4-r2\nA:x86_64\n\nP:nginx\nV:1.24-r0\nA:x86_64\nF:etc\n\n"
    found = apk.parse_installed(text, "nginx>=1\nalpine-base\n")
    assert [(each["name"], each["version"], each["manual"]) for each in found] == [
        ("musl", "1.2.4-r2", False),
        ("nginx", "1.24-r0", True),
    ]


def test_pacman_knows_what_came_as_a_dependency():
    text = "%NAME%\nzlib\n\n%VERSION%\n1:1.3-1\n\n%ARCH%\nx86_64\n\n%REASON%\n1\n\n"
    assert pacman.parse_desc(text) == {
        "name": "zlib",
        "version": "1:1.3-1",
        "architecture": "x86_64",
        "manual": False,
    }
    assert pacman.parse_desc("nonsense") is None


DNF_4 = "bash|group\n\nhttpd|user\n\napr|dependency\n\nmod_http2|weak-dependency\n\n"
DNF_5 = "bash|Group\nhttpd|User\napr|Dependency\nmod_http2|Weak Dependency\n"


@pytest.mark.parametrize("told", [DNF_4, DNF_5])
def test_dnf_says_what_was_asked_for(told):
    assert rpm.parse_reasons(told) == {"bash": True, "httpd": True, "apr": False, "mod_http2": False}


def test_of_two_architectures_one_that_was_asked_for_is_enough():
    told = "glibc|dependency\nglibc|user\nzlib|dependency\nError: no cache\n"
    assert rpm.parse_reasons(told) == {"glibc": True, "zlib": False}


@pytest.mark.parametrize("told", ["", "bash|unknown\nhttpd|unknown", "bash|External User", "Error: no such option"])
def test_without_a_history_dnf_says_nothing(told):
    assert rpm.parse_reasons(told) == {}
