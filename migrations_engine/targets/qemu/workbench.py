"""A disk on its way, whatever target it goes to: copied, grown, prepared and sealed on this machine.

A copy is made, grown and prepared as raw and turned into its final format last: debugfs and resize2fs work on raw
files only, a FUSE export of a qcow2 needs /dev/fuse and a daemon to guard, and converting costs 2 s for 784 MB.
"""

import errno
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from analyzer.domain.facts import Facts
from migrations_engine.domain.access import Access
from migrations_engine.domain.machine import DiskRef, FirstBoot, Growth, MachineSpec, Preparation, SourceDisk
from migrations_engine.domain.software import Software
from migrations_engine.targets.base import (
    CopyFailed,
    FilesystemDamaged,
    KeepAlive,
    PrepareRefused,
    Progress,
    SpecRefused,
    no_keep_alive,
    no_progress,
)
from migrations_engine.targets.qemu import agent_packages, host_apt, images, kernel_install, process, software
from migrations_engine.targets.qemu.bundle import Bundle
from migrations_engine.targets.qemu.command import mac_address
from migrations_engine.targets.qemu.first_boot import prepare_offline
from migrations_engine.targets.qemu.folder import Folder
from migrations_engine.targets.qemu.grow import grow
from migrations_engine.targets.qemu.images import Pair
from migrations_engine.targets.qemu.seed import write_seed
from migrations_engine.targets.qemu.verified_copy import copy_compared

WORKBENCH_CAPS = frozenset({"keys", "offline_prepare", "kernels", "kernel_install"})
KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")


class Workbench:
    """The verbs of `Target` that work on a disk before it boots. A folder for each key, under `root`."""

    def __init__(self, *, root: Path):
        self.root = Path(root).absolute()

    def access(self, facts: Facts) -> Access:
        return agent_packages.access(facts, self._shelf)

    def software(self, facts: Facts, names: Sequence[str], access: Access) -> Software:
        return software.software(facts, names, access)

    def checksum(self, source: SourceDisk, progress: Progress = no_progress) -> str:
        return images.checksum(Path(source.path), progress)

    def copy(self, key: str, source: SourceDisk, progress: Progress = no_progress) -> DiskRef:
        folder = self._folder(key)
        with folder.locked(lambda: progress(0, 0)):
            if (kept := finished_disk(folder)) is not None:
                return kept
            size = _copied(source, folder.raw, "raw", progress)
            folder.write(copied=_origin(source) | {"virtual_bytes": size})
            return finished_disk(folder)

    def copy_data(
        self, key: str, index: int, source: SourceDisk, format: str, progress: Progress = no_progress
    ) -> DiskRef:
        folder = self._folder(key)
        with folder.locked(lambda: progress(0, 0)):
            known = folder.read().get("data") or {}
            if (kept := known.get(str(index))) is None:
                size = _copied(source, folder.data_disk(index, _kept_format(format)), format, progress)
                kept = _origin(source) | {"virtual_bytes": size, "format": format}
                folder.write(data={**known, str(index): kept})
            path = folder.data_disk(index, kept["format"])
            return DiskRef(key, str(path), kept["format"], kept["virtual_bytes"])

    def adopt(
        self, key: str, index: int, source: SourceDisk, format: str, progress: Progress = no_progress
    ) -> DiskRef:
        if index and format != "raw":
            return self.copy_data(key, index, source, format, progress)
        folder = self._folder(key)
        with folder.locked(lambda: progress(0, 0)):
            return _adopted_data(folder, index, source) if index else _adopted(folder, source)

    def grow(self, disk: DiskRef, size_bytes: int) -> Growth:
        folder = self._folder(disk.key)
        with folder.locked(no_keep_alive):
            record = folder.read()
            if (known := record.get("grown")) and (record.get("sealed") or known["disk_bytes"] >= size_bytes):
                return Growth(**known)
            _require_raw(folder)
            with _copy_lost_if_damaged(folder):
                grown = grow(folder.raw, size_bytes)
            folder.write(grown=asdict(grown))
            return grown

    def fetch(self, first_boot: FirstBoot, keep_alive: KeepAlive = no_keep_alive) -> None:
        for packages in (first_boot.packages, first_boot.software):
            host_apt.files(packages, self._shelf, keep_alive)

    def _bundles(self, first_boot: FirstBoot, key: str) -> list[Bundle]:
        """Fetched where they are not here yet."""
        agent = host_apt.files(first_boot.packages, self._shelf, no_keep_alive)
        others = host_apt.files(first_boot.software, self._shelf, no_keep_alive)
        bundles = [agent_packages.bundle(agent), software.bundle(key, others)]
        return [each for each in bundles if each.files]

    def prepare(self, disk: DiskRef, first_boot: FirstBoot) -> Preparation:
        folder = self._folder(disk.key)
        wanted = hashlib.sha256(json.dumps(asdict(first_boot), sort_keys=True).encode()).hexdigest()
        with folder.locked(no_keep_alive):
            known = folder.read().get("prepared")
            if known and known["wanted"] == wanted:
                return Preparation(known["way"], tuple(known["done"]), tuple(known["left"]))
            _require_raw(folder)
            with _copy_lost_if_damaged(folder):
                done = _prepare(folder, first_boot, self._bundles(first_boot, disk.key))
            folder.write(prepared={"wanted": wanted, **asdict(done)})
            return done

    def install_kernel(
        self,
        disk: DiskRef,
        spec: MachineSpec,
        first_boot: FirstBoot,
        keep_alive: KeepAlive = no_keep_alive,
    ) -> None:
        folder = self._folder(disk.key)
        agent = agent_packages.bundle(host_apt.files(first_boot.packages, self._shelf, keep_alive))
        with folder.locked(keep_alive):
            if folder.read().get("sealed") is None:
                kernel_install.ensure_kernel(self.root, folder, spec, first_boot, agent, keep_alive)

    def seal(self, disk: DiskRef, format: str, progress: Progress = no_progress) -> DiskRef:
        _kept_format(format)
        folder = self._folder(disk.key)
        with folder.locked(lambda: progress(0, 0)):
            if folder.read().get("sealed") is None:
                _require_raw(folder)
                if format == "qcow2":
                    _to_qcow2(folder, progress)
                folder.write(sealed={"format": format})
                if format == "qcow2":
                    folder.raw.unlink()
            return finished_disk(folder)

    # -- finding things ------------------------------------------------------------------------------------------

    def workbench_keys(self) -> tuple[str, ...]:
        """Every key that something on this machine carries, half a copy too."""
        if not self.root.is_dir():
            return ()
        folders = (entry for entry in self.root.iterdir() if entry.is_dir())
        return tuple(sorted(entry.name for entry in folders if KEY.fullmatch(entry.name)))

    @property
    def _shelf(self) -> Path:
        """Packages for guests; its name is no key, so it is never taken for a machine."""
        return self.root / ".packages"

    def _folder(self, key: str) -> Folder:
        if not KEY.fullmatch(key):
            raise SpecRefused(f"key {key!r}: letters, digits and '-' only")
        return Folder(self.root / key)


def finished_disk(folder: Folder) -> DiskRef | None:
    """The finished disk, whatever state of its way it is in."""
    record = folder.read()
    if not record.get("copied"):
        return None
    sealed = record.get("sealed", {}).get("format", "raw")
    path = folder.qcow2 if sealed == "qcow2" else folder.raw
    if not path.exists():
        return None
    size = (record.get("grown") or {}).get("disk_bytes", record["copied"]["virtual_bytes"])
    return DiskRef(folder.key, str(path), sealed, size)


def _copied(source: SourceDisk, final: Path, image_format: str, progress: Progress) -> int:
    """A compared copy at `final`, whole or not there at all; the virtual size in bytes."""
    path = Path(source.path)
    inside = images.member_part(path, source.member) if source.member else None
    source_format = "vmdk" if source.member else source.format
    size = images.inspect(path, source_format, inside)
    with images.draft(final) as part:
        copy_compared(Pair(path, source_format, part, image_format, size, inside), progress)
    return size


def _adopted(folder: Folder, source: SourceDisk) -> DiskRef:
    if (kept := finished_disk(folder)) is not None:
        return kept
    size = _taken(source, folder.raw, is_new="copied" not in folder.read())
    folder.write(copied=_origin(source) | {"virtual_bytes": size})
    return finished_disk(folder)


def _adopted_data(folder: Folder, index: int, source: SourceDisk) -> DiskRef:
    known, path = folder.read().get("data") or {}, folder.data_disk(index, "raw")
    if str(index) not in known:
        size = _taken(source, path, is_new=True)
        kept = _origin(source) | {"virtual_bytes": size, "format": "raw"}
        folder.write(data={**known, str(index): kept})
    return DiskRef(folder.key, str(path), "raw", path.stat().st_size)


def _taken(source: SourceDisk, final: Path, *, is_new: bool) -> int:
    """`is_new`: nothing has been done to `final` yet, so that one whose file is gone was taken by a worker that died
    before it could write so."""
    given = Path(source.path)
    if given.exists():
        try:
            images.rename_durably(given, final)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            _copied(source, final, "raw", no_progress)
    elif not (is_new and final.exists()):
        raise CopyFailed(f"{given.name}, which was copied while the source ran, is not here any more")
    return final.stat().st_size


def _origin(source: SourceDisk) -> dict:
    return {"from": source.path, "format": source.format, "member": source.member}


def _kept_format(image_format: str) -> str:
    if image_format not in ("raw", "qcow2"):
        raise SpecRefused(f"storage format {image_format!r}: this target keeps disks as raw or qcow2")
    return image_format


def _require_raw(folder: Folder) -> None:
    if process.pid_of(folder) is not None:
        raise PrepareRefused(f"machine {folder.key} is on: its disk cannot be changed from outside")
    if folder.read().get("sealed") or not folder.raw.exists():
        raise PrepareRefused(f"the disk of machine {folder.key} is not there to be changed any more")


@contextmanager
def _copy_lost_if_damaged(folder: Folder) -> Iterator[None]:
    """After damage the next `copy` begins anew, so that a retry of the step can succeed."""
    try:
        yield
    except FilesystemDamaged:
        folder.write(copied=None, grown=None, prepared=None)
        raise


def _prepare(folder: Folder, wanted: FirstBoot, bundles: list[Bundle]) -> Preparation:
    mac = mac_address(folder.key)
    try:
        return prepare_offline(folder.raw, wanted, mac, bundles)
    except FilesystemDamaged:
        raise  # a guest with a broken disk is not one to boot and hope for
    except PrepareRefused:
        if not wanted.cloud_init:
            raise
        return write_seed(folder.seed, wanted, folder.key, mac, bundles)


def _to_qcow2(folder: Folder, progress: Progress) -> None:
    size = folder.raw.stat().st_size
    with images.draft(folder.qcow2) as part:
        copy_compared(Pair(folder.raw, "raw", part, "qcow2", size), progress)
