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


MAIL = """\
Package: reports
Version: 2
Depends: mta (>= 1) | mta, perlapi

Package: postfix
Version: 3
Provides: mta
Conflicts: mta
Size: 1500
Installed-Size: 4

Package: exim
Version: 4
Provides: mta
Conflicts: mta

Package: perl
Version: 5.36
Provides: perlapi, perl-lib (= 5.36)

Package: modern
Version: 1
Depends: perl-lib (>= 5.30)

Package: stern
Version: 1
Breaks: modern
"""


def mail(name: str, before=(), **installed: str) -> list[str]:
    return [str(each) for each in to_add(name, packages(MAIL), installed, before)]


def test_name_that_others_provide_is_fulfilled_by_them():
    assert mail("reports", perl="5.36", postfix="3") == ["reports 2"]
    assert mail("reports") == ["reports 2", "exim 4", "perl 5.36"]  # the first by name, else always another
    assert mail("mta") == ["exim 4"]
    assert mail("mta", postfix="3") == []


def test_version_provided_is_believed_of_the_same_version_only():
    assert mail("modern", perl="5.36") == ["modern 1"]
    with pytest.raises(Unsuitable, match=r"modern 1 needs perl-lib \(>= 5.30\), and neither"):
        mail("modern", perl="5.20")


@pytest.mark.parametrize(
    ("name", "installed", "reason"),
    [
        ("exim", {"postfix": "3"}, "exim 4 cannot stand beside postfix 3"),
        ("stern", {"modern": "1", "perl": "5.36"}, "stern 1 cannot stand beside modern 1"),
        ("modern", {"stern": "1", "perl": "5.36"}, "stern 1 cannot stand beside modern 1"),
    ],
)
def test_enemies_are_kept_apart_whichever_comes_second(name, installed, reason):
    with pytest.raises(Unsuitable, match=reason):
        mail(name, **installed)


def test_what_is_added_already_counts():
    exim = packages(MAIL)["exim"]
    assert mail("reports", before=[exim], perl="5.36") == ["reports 2"]
    with pytest.raises(Unsuitable, match="postfix 3 cannot stand beside exim 4"):
        mail("postfix", before=[exim])


def test_sizes_are_bytes():
    postfix = packages(MAIL)["postfix"]
    assert (postfix.fetch_bytes, postfix.installed_bytes) == (1500, 4096)
