"""GRUB menus as update-grub writes them."""

import pytest

from analyzer.domain import grub

MENU = """
if [ -s $prefix/grubenv ]; then
  set have_grubenv=true
  load_env
fi
if [ "${next_entry}" ] ; then
   set default="${next_entry}"
   set next_entry=
   set boot_once=true
else
   set default="%s"
fi
if [ x"${feature_menuentry_id}" = xy ]; then
  menuentry_id_option="--id"
fi
function gfxmode {
	set gfxpayload="${1}"
}
menuentry 'Debian GNU/Linux' --class debian $menuentry_id_option 'gnulinux-simple-AB' {
	linux	/boot/vmlinuz-6.1.0-44-amd64 root=UUID=AB ro quiet
	initrd	/boot/initrd.img-6.1.0-44-amd64
}
submenu 'Advanced options for Debian GNU/Linux' $menuentry_id_option 'gnulinux-advanced-AB' {
	menuentry 'Debian, with Linux 6.1.0-44-amd64' $menuentry_id_option 'gnulinux-6.1.0-44-amd64-advanced-AB' {
		linux	/boot/vmlinuz-6.1.0-44-amd64 root=UUID=AB ro quiet
	}
	menuentry 'Debian, 6.1.0-44 (recovery)' $menuentry_id_option 'gnulinux-6.1.0-44-amd64-recovery-AB' {
		linux	/boot/vmlinuz-6.1.0-44-amd64 root=UUID=AB ro single
	}
	menuentry 'Debian, with Linux 6.1.0-40-amd64' $menuentry_id_option 'gnulinux-6.1.0-40-amd64-advanced-AB' {
		linux	/boot/vmlinuz-6.1.0-40-amd64 root=UUID=AB ro quiet
	}
}
menuentry 'UEFI Firmware Settings' $menuentry_id_option 'uefi-firmware' {
	fwsetup
}
"""
OLD = "gnulinux-advanced-AB>gnulinux-6.1.0-40-amd64-advanced-AB"


def entries():
    return grub.parse_menu(MENU % "0")


def test_every_entry_that_loads_linux_is_found_with_its_path():
    assert [(each.index, each.version, each.recovery) for each in entries()] == [
        ("0", "6.1.0-44-amd64", False),
        ("1>0", "6.1.0-44-amd64", False),
        ("1>1", "6.1.0-44-amd64", True),
        ("1>2", "6.1.0-40-amd64", False),
    ]
    assert entries()[3].menu_id == OLD


@pytest.mark.parametrize(
    ("default", "environment", "version"),
    [
        ("0", {}, "6.1.0-44-amd64"),
        ("1>2", {}, "6.1.0-40-amd64"),
        (OLD, {}, "6.1.0-40-amd64"),
        ("Debian, with Linux 6.1.0-40-amd64", {}, "6.1.0-40-amd64"),
        ("${saved_entry}", {"saved_entry": OLD}, "6.1.0-40-amd64"),
        ("${saved_entry}", {}, "6.1.0-44-amd64"),
        ("1", {}, "6.1.0-44-amd64"),
        ("no such title", {}, "6.1.0-44-amd64"),  # the silent fall back
    ],
)
def test_default_is_what_grub_would_start(default, environment, version):
    wanted = grub.configured_default(MENU % default, environment)
    assert grub.default_entry(entries(), wanted).version == version


def test_menu_id_of_a_kernel_is_the_entry_that_stays():
    assert grub.menu_id_for(entries(), "6.1.0-44-amd64").index == "1>0"
    assert grub.menu_id_for(entries(), "6.1.0-40-amd64").menu_id == OLD
    assert grub.menu_id_for(entries(), "5.10") is None


def test_quotes_in_a_title_are_undone():
    text = "menuentry 'It'\\''s Linux' --id it {\nlinux /vmlinuz-1\n}\n"
    assert grub.parse_menu(text)[0].title == "It's Linux"


def test_grubenv_is_read_past_its_padding():
    text = "# GRUB Environment Block\nsaved_entry=abc>def\nboot_success=1\n" + "#" * 900
    assert grub.parse_environment(text) == {"saved_entry": "abc>def", "boot_success": "1"}


def test_a_loader_entry_is_known_by_its_file_name():
    entry = grub.parse_bls(
        "title Fedora (6.8)\nversion 6.8.5\nlinux /vmlinuz-6.8.5\noptions root=x\n", "id-6.8.5"
    )
    assert (entry.menu_id, entry.version, entry.recovery) == ("id-6.8.5", "6.8.5", False)
    assert grub.parse_bls("title memtest\nefi /memtest\n", "m") is None


@pytest.mark.parametrize("text", ["", "}\n}\n}", "menuentry {\n{\n{", "submenu 'a' {" * 2000, "linux /x\n"])
def test_nonsense_yields_no_entry(text):
    assert grub.parse_menu(text) == []
