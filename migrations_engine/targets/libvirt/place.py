"""Where a libvirt target is: what its endpoint says."""

from dataclasses import dataclass

from analyzer.domain.libvirt_address import LibvirtAddress
from analyzer.sources.ssh import Door, Login


@dataclass(frozen=True)
class Place:
    """`network` is a libvirt network; empty: user-mode networking, which gives a guest the way out and no way in.

    `door` and `login` are for an address on another machine. `accelerator` and `enforces` are what a trial found there:
    nothing is promised that was not seen. `problem`: why nothing there can be asked.
    """

    address: LibvirtAddress | None
    pool: str
    network: str = ""
    login: Login | None = None
    door: Door | None = None
    accelerator: str = ""
    enforces: frozenset[str] = frozenset()
    problem: str = ""
