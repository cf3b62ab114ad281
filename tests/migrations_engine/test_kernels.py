import pytest

from migrations_engine.domain.kernels import choose, is_exact, satisfies

OLD, NEW = "6.1.0-9-amd64", "6.1.0-44-amd64"


@pytest.mark.parametrize(
    ("release", "spec", "holds"),
    [
        ("6.1.0-44-cloud-amd64", "6.1.0-44-cloud-amd64", True),
        ("6.1.0-44-cloud-amd64", "6.1.0-44", True),
        ("6.1.0-44-cloud-amd64", "6.1", True),
        ("6.10.0-1-amd64", "6.1", False),
        ("6.1.0-441-amd64", "6.1.0-44", False),
        ("6.1.0-44-amd64", ">=6.1", True),
        ("6.1.0-44-amd64", ">=6.1.0-50", False),
        ("6.1.0-9-amd64", "<6.1.0-44", True),
        ("6.1.0-44-amd64", ">6.1", False),
        ("6.2.0-1-amd64", ">6.1", True),
        ("6.1.0-44-amd64", "<=6.1", True),
        ("5.10.0-1-amd64", "~6.1", False),
        ("6.1.0-44-amd64", "== 6.1.0-44-amd64", True),
    ],
)
def test_release_fulfils_what_was_asked(release, spec, holds):
    assert satisfies(release, spec) is holds


def pick(spec, intent="require", installed=(OLD, NEW), current=OLD, can_install=False):
    return choose(spec=spec, intent=intent, installed=installed, current=current, can_install=can_install)


def test_nothing_asked_keeps_the_machines_own():
    assert pick(None).action == "keep"


def test_kernel_that_boots_already_is_kept():
    assert (pick(OLD).action, pick(OLD).version) == ("keep", OLD)


def test_newest_that_fits_becomes_the_default():
    assert (pick(">=6.1.0-10").action, pick(">=6.1.0-10").version) == ("switch", NEW)


def test_newest_is_compared_by_number_not_by_letter():
    assert pick("6.1", current=None).version == NEW


def test_kernel_that_is_not_there_is_unavailable():
    assert pick("9.9.9-amd64").action == "unavailable"


def test_missing_kernel_is_installed_where_the_target_can():
    assert pick("6.1.0-50-amd64", "install", can_install=True).action == "install"
    assert pick("6.1.0-50-amd64", "install", can_install=False).action == "unavailable"


def test_range_cannot_be_installed():
    assert pick(">=6.5", "install", can_install=True).action == "unavailable"
    assert not is_exact("6.1.0-50")
    assert is_exact("6.1.0-50-amd64")


def test_unread_disk_leaves_it_open():
    assert (
        choose(spec="6.1", intent="require", installed=None, current=None, can_install=False).action
        == "undecided"
    )
