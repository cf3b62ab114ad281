"""Changes which entry GRUB starts: texts in, texts out. Reading the menu is `analyzer.domain.grub`."""

import re

_DEFAULT = re.compile(r'^(\s*set default=)(?!"?\$\{?next_entry)(?:"[^"\n]*"|\'[^\'\n]*\'|\S*)$', re.MULTILINE)
_SETTING = re.compile(r"^\s*GRUB_DEFAULT=.*$", re.MULTILINE)


def with_default(menu: str, menu_id: str) -> str:
    """grub.cfg that starts `menu_id`; the once-only entry of grub-reboot stays as it is.

    A menu that never sets a default (a hand-written one) gets the line at its top.
    """
    changed, count = _DEFAULT.subn(lambda found: f'{found[1]}"{menu_id}"', menu)
    return changed if count else f'set default="{menu_id}"\n{menu}'


def with_default_setting(settings: str, menu_id: str) -> str:
    """/etc/default/grub, so that a later `update-grub` keeps the choice."""
    line = f'GRUB_DEFAULT="{menu_id}"'
    changed, count = _SETTING.subn(lambda found: line, settings)
    return changed if count else f"{settings.rstrip()}\n{line}\n"
