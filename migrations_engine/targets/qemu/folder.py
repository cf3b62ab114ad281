"""The folder of one machine: its files, what was done to it, and the lock that keeps two workers apart.

<root>/<key>/   record.json  disk.raw | disk.qcow2  disk1.raw  seed.iso  vars.fd  console.log  qemu.pid
                qmp.sock  agent.sock
"""

import errno
import fcntl
import json
import os
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from migrations_engine.targets.base import KeepAlive, TargetError

WAIT_S = 0.5


class RecordDamaged(TargetError):
    """A machine's record cannot be read. It is written atomically, so somebody else wrote it."""


@dataclass(frozen=True)
class Folder:
    path: Path

    @property
    def key(self) -> str:
        return self.path.name

    @property
    def lock(self) -> Path:
        return self.path / ".lock"

    @property
    def raw(self) -> Path:
        return self.path / "disk.raw"

    @property
    def qcow2(self) -> Path:
        return self.path / "disk.qcow2"

    def data_disk(self, index: int, image_format: str) -> Path:
        """Of a disk beside the one that boots; `index` counts from 1."""
        return self.path / f"disk{index}.{image_format}"

    def data_disks(self) -> list[Path]:
        """Those whose copy is finished, in their order."""
        known = self.read().get("data") or {}
        return [self.data_disk(int(index), known[index]["format"]) for index in sorted(known, key=int)]

    @property
    def console(self) -> Path:
        return self.path / "console.log"

    @property
    def seed(self) -> Path:
        return self.path / "seed.iso"

    def read(self) -> dict:
        try:
            return json.loads((self.path / "record.json").read_text())
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise RecordDamaged(f"the record of machine {self.key} cannot be read: {error}") from error

    def write(self, **changes) -> dict:
        """Adds to the record, durably."""
        record = {**self.read(), **changes}
        draft = self.path / "record.json.part"
        with open(draft, "w") as file:
            json.dump(record, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(self.path / "record.json")
        return record

    def remove(self, kept: Collection[Path] = ()) -> tuple[str, ...]:
        """All but `kept`, and the folder where nothing is kept. The caller holds the lock. The names of what went."""
        removed = [path for path in sorted(self.path.iterdir()) if path not in kept and path != self.lock]
        for path in removed:
            path.unlink()
        self.lock.unlink()
        try:
            self.path.rmdir()
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.ENOENT):  # something is kept; somebody came, and may be done
                raise
        return tuple(path.name for path in removed)

    @contextmanager
    def locked(self, keep_alive: KeepAlive) -> Iterator[None]:
        """One worker at a time changes a machine. A worker that lost its claim lets go when it next looks.

        The kernel frees the lock of a killed process, so nothing here can stay locked. Who waited while the folder was
        removed has the lock of a file that is no more: it takes that of the folder as it is now, which is empty.
        """
        while True:
            try:
                self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
                file = open(self.lock, "w")  # noqa: SIM115  closed below
            except (FileExistsError, FileNotFoundError):
                if self.path.is_file():
                    raise
                continue  # it was removed meanwhile
            with file:
                while not _try_lock(file):
                    keep_alive()
                    time.sleep(WAIT_S)
                if _is(file, self.lock):
                    yield
                    return


def _is(file, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    except FileNotFoundError:
        return False


def _try_lock(file) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
