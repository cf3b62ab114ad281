"""Which packages a machine lacks for one to be added to it, and when it must not be."""

import subprocess
from itertools import pairwise

import pytest

from migrations_engine.domain.debian import Package, Unsuitable, compare, packages, to_add

# Debian policy 5.6.12, and versions as they are met: each is older than the next
RISING = (
    "0.9~", "0.9", "0.9a", "0.9.1", "1.0~rc1", "1.0", "1.0-1~bpo12+1", "1.0-1", "1.0-1+b1", "1.0-1+deb12u2",
    "1.0-1+deb12u10", "1.0a-1", "1.0+dfsg-1", "1.0.1-1", "10-1", "1:0.1", "1:0.1-1",
)  # fmt: skip
OFFERED = """\
Package: agent
Version: 1:7.2+dfsg-7
Architecture: amd64
Pre-Depends: helpers (>= 1.54~)
Depends: libc6 (>= 2.34), libglib (>= 2.63.3) | libglib-ng, liburing2 (>= 2.3)
Description: talks
 Depends: on nothing, says its text

Package: liburing2
Version: 2.3-3
Architecture: amd64
Depends: libc6 (>= 2.17)
Breaks: old-uring (<< 2)

Package: libglib
Version: 2.74.6-2
Architecture: amd64
Depends: libc6 (>= 2.36)

Package: libglib
Version: 2.60-1
Architecture: amd64
"""
BOOKWORM = {"helpers": "1.65.2", "libc6": "2.36-9", "libglib": "2.74.6-2", "liburing2": "2.3-3"}


def added(installed: dict[str, str], name: str = "agent") -> list[str]:
    return [package.name for package in to_add(name, packages(OFFERED), installed)]


def without(*names: str, **versions: str) -> dict[str, str]:
    return {name: version for name, version in BOOKWORM.items() if name not in names} | versions


def test_versions_are_ordered_as_debian_orders_them():
    assert [compare(one, other) for one, other in pairwise(RISING)] == [-1] * (len(RISING) - 1)
    assert [compare(other, one) for one, other in pairwise(RISING)] == [1] * (len(RISING) - 1)
    assert compare("1.0", "1.0-0") == compare("0:1.00", "1.0") == 0


def test_dpkg_orders_them_the_same_way():
    for one, other in pairwise(RISING):
        subprocess.run(["dpkg", "--compare-versions", one, "lt", other], check=True)


def test_machine_that_has_the_rest_needs_one_package():
    assert added(BOOKWORM) == ["agent"]


def test_what_the_machine_lacks_comes_along():
    assert added(without("liburing2", "libglib")) == ["agent", "libglib", "liburing2"]


def test_any_alternative_will_do():
    assert added(without("libglib", **{"libglib-ng": "1"})) == ["agent"]


def test_old_name_of_a_library_renamed_for_64_bit_time_counts():
    assert added(without("libglib", libglibt64="2.84.4-3")) == ["agent"]


@pytest.mark.parametrize(
    ("installed", "reason"),
    [
        (without(libc6="2.31-13"), r"needs libc6 \(>= 2.34\), and the machine has libc6 2.31-13"),
        (without("helpers"), r"needs helpers \(>= 1.54~\), and neither the machine nor this host has it"),
        (without("libglib", libc6="2.35-1"), r"libglib 2.74.6-2 needs libc6 \(>= 2.36\)"),
        (without("liburing2", **{"old-uring": "1.9"}), "cannot stand beside old-uring 1.9"),
    ],
)
def test_package_that_would_change_the_machine_is_refused(installed, reason):
    with pytest.raises(Unsuitable, match=reason):
        added(installed)


def test_package_that_nobody_offers_is_refused():
    with pytest.raises(Unsuitable, match="no package ghost"):
        added(BOOKWORM, "ghost")


def test_packages_that_need_each_other_end():
    text = "Package: one\nVersion: 1\nDepends: two\n\nPackage: two\nVersion: 1\nDepends: one\n"
    assert {each.name for each in to_add("one", packages(text), {})} == {"one", "two"}


def test_first_of_a_name_counts_and_text_is_no_field():
    found = packages(OFFERED)
    assert found["libglib"].version == "2.74.6-2"
    assert found["agent"].architecture == "amd64"
    assert len(found["agent"].depends) == 4
    assert packages("") == {}
    assert Package("x", "1").depends == ()
