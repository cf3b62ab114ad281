"""The machine that an ELF program is for, in the words of `uname -m`."""

import struct

_MACHINES = {
    0x03: "i686",
    0x3E: "x86_64",
    0x28: "armv7l",
    0xB7: "aarch64",
    0xF3: "riscv64",
    0x15: "ppc64le",
    0x16: "s390x",
}


def elf_machine(head: bytes) -> str:
    """From the first 20 bytes of a program; "" if they are not ELF or the machine is unknown here."""
    if len(head) < 20 or not head.startswith(b"\x7fELF"):
        return ""
    order = ">" if head[5] == 2 else "<"
    return _MACHINES.get(struct.unpack_from(order + "H", head, 18)[0], "")
