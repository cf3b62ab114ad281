"""KVM is taken only where it is of use: a boot that ends, and ends in time."""

import pytest

from migrations_engine.targets.qemu.accelerator import SAYS_YES, judged

ENDS = SAYS_YES << 1 | 1


@pytest.mark.parametrize(
    ("took_s", "code", "name"),
    [
        (0.3, ENDS, "kvm"),
        (0.3, 1, "tcg"),  # QEMU could not make the machine
        (0.3, -6, "tcg"),  # it died
        (
            1.3,
            None,
            "tcg",
        ),  # not ended yet: a nested KVM that takes 12 s for a boot sector and minutes for a kernel
    ],
)
def test_kvm_is_taken_where_it_boots_about_as_soon_as_emulation(took_s, code, name):
    found = judged(took_s, code, patience_s=1.3)
    assert found.name == name
    assert found.reason
