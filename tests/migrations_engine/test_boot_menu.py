from analyzer.domain import grub
from config.quickstart.guests.disk import grub_menu
from migrations_engine.domain.boot_menu import with_default, with_default_setting

KERNELS = ("6.1.0-9-cloud-amd64", "6.1.0-8-cloud-amd64")
MENU = grub_menu(KERNELS, "aaaa-bbbb", "console=ttyS0")


def started_by(menu: str) -> str:
    return grub.default_entry(grub.parse_menu(menu), grub.configured_default(menu, {})).version


def test_the_chosen_kernel_is_the_one_that_starts():
    entry = grub.menu_id_for(grub.parse_menu(MENU), KERNELS[1])
    assert started_by(MENU) == KERNELS[0]
    assert started_by(with_default(MENU, entry.menu_id)) == KERNELS[1]


def test_choosing_twice_is_choosing_once():
    once = with_default(MENU, "a>b")
    assert with_default(once, "a>b") == once


def test_the_entry_for_one_boot_only_stays():
    assert 'set default="${next_entry}"' in with_default(MENU, "a>b")


def test_a_menu_that_sets_no_default_gets_one():
    assert with_default("menuentry 'x' {\n}\n", "x").startswith('set default="x"\n')


def test_the_next_update_grub_keeps_the_choice():
    assert (
        with_default_setting("GRUB_DEFAULT=0\nGRUB_TIMEOUT=5\n", "a>b")
        == 'GRUB_DEFAULT="a>b"\nGRUB_TIMEOUT=5\n'
    )


def test_a_setting_that_was_not_there_is_added():
    assert with_default_setting("GRUB_TIMEOUT=5", "a>b") == 'GRUB_TIMEOUT=5\nGRUB_DEFAULT="a>b"\n'
