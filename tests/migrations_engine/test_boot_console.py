"""What the console of a booting guest tells: that it can't bring its agent, that it is lost, or nothing yet."""

import pytest

from migrations_engine.domain.boot_console import SILENT_S, BootConsole

PANIC = """\
[    1.2] VFS: Cannot open root device "UUID=1" or unknown-block(0,0): error -6
[    1.3] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)
[    1.4] Call Trace:
[    1.5] ---[ end Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0) ]---
"""
FAILED = "migration-personas: no agent"


@pytest.fixture
def console():
    return BootConsole(FAILED)


@pytest.mark.parametrize(
    "said",
    [
        PANIC,
        'You are in emergency mode. After logging in, type "journalctl -xb"\nPress Enter to continue',
        "ALERT!  UUID=1 does not exist.  Dropping to a shell!\n\n(initramfs) ",
        "error: no such device: 1.\nEntering rescue mode...\ngrub rescue> ",
    ],
)
def test_a_last_word_counts_when_nothing_follows(console, said):
    assert console.verdict(said, 100.0) == ""
    assert console.verdict(said, 100.0 + SILENT_S - 1) == ""
    told = console.verdict(said, 100.0 + SILENT_S)
    assert told.startswith("the guest does not boot: ")
    assert told.endswith(said.strip().splitlines()[-1].strip())


def test_what_goes_on_after_a_panic_is_waited_for(console):
    assert console.verdict(PANIC, 0.0) == ""
    assert console.verdict(PANIC + "GRUB loading.\n", SILENT_S - 1) == ""
    assert console.verdict(PANIC + "GRUB loading.\n", SILENT_S + 1) == ""


def test_a_silent_guest_is_not_a_lost_one(console):
    assert console.verdict("", 0.0) == console.verdict("", 10 * SILENT_S) == ""


def test_the_guests_own_word_on_its_agent_counts_at_once(console):
    assert console.verdict(f"[1] {FAILED}: dpkg was locked\nlogin: ", 0.0) == f"{FAILED}: dpkg was locked"
