"""Volumes of a storage pool: uploaded, compared, read and removed through libvirt, wherever the hypervisor is."""

import hashlib
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from migrations_engine.targets.base import CopyFailed, CopyMismatch, Progress
from migrations_engine.targets.libvirt.domain import Volume
from migrations_engine.targets.libvirt.link import LibvirtFailed, Link
from migrations_engine.targets.libvirt.marks import key_of_volume
from migrations_engine.targets.qemu.images import checksum

FILE_POOLS = ("dir", "fs", "netfs")  # their volumes are files, so a qcow2 stays one
WATCH_S = 0.3
BLOCK = 4 * 2**20
TRIES = 3  # a stream ends with its libvirtd; which comes back is asked for patiently


@dataclass(frozen=True)
class Pool:
    link: Link
    name: str

    def refresh(self) -> None:
        """Sees files that came or went without libvirt. A pool that is busy refreshes another time."""
        try:
            self.link.ask("pool-refresh", self.name)
        except LibvirtFailed as error:
            if "asynchronous jobs" not in str(error):
                raise

    def volumes(self, key: str) -> list[str]:
        """The names of those that carry `key`."""
        return [name for name in self._names() if key_of_volume(name) == key]

    def keys(self) -> set[str]:
        """Those that some volume carries."""
        return {key for name in self._names() if (key := key_of_volume(name))}

    def _names(self) -> list[str]:
        rows = [line.split() for line in self.link.ask("vol-list", self.name).splitlines()]
        return [row[0] for row in rows if row]

    def ensure_text(self, name: str) -> str:
        """The path of an empty volume for text, made where it is not there yet."""
        try:
            self.link.ask("vol-create-as", self.name, name, "0", "--format", "raw")
        except LibvirtFailed as error:
            if error.kind != "exists":
                raise
        return self.link.ask("vol-path", name, "--pool", self.name)

    def upload(self, file: Path, volume: Volume, size: int, progress: Progress) -> str:
        """The volume holds the file's bytes afterwards, compared by reading it back; their SHA-256. `size`: virtual.

        Half an upload is made anew, also when libvirt was started again meanwhile. Raises CopyFailed, CopyMismatch,
        LibvirtFailed.
        """
        for _ in range(TRIES - 1):
            try:
                return self._uploaded(file, volume, size, progress)
            except CopyMismatch:
                raise
            except CopyFailed:
                continue
        return self._uploaded(file, volume, size, progress)

    def _uploaded(self, file: Path, volume: Volume, size: int, progress: Progress) -> str:
        self.delete(volume.name)
        self.link.ask(
            "vol-create-as", self.name, volume.name, str(size), "--format", volume.format, "--allocation", "0"
        )
        total = file.stat().st_size
        part = progress_of(progress, total)
        self._send(file, volume.name, part(0))
        wanted, found = checksum(file, part(1)), self._checksum(volume.name, total, part(2))
        if wanted != found:
            raise CopyMismatch(f"the volume {volume.name} does not hold what was uploaded to it")
        return found

    def delete(self, name: str) -> bool:
        """Whether it was there."""
        try:
            self.link.ask("vol-delete", name, "--pool", self.name)
        except LibvirtFailed as error:
            if error.kind == "gone":
                return False
            raise
        return True

    def end_of(self, name: str, most: int) -> str:
        """The last bytes of a volume of text; "" where it is not there."""
        try:
            size = int(self.link.xml("vol-dumpxml", name, "--pool", self.name).findtext("physical") or 0)
        except LibvirtFailed as error:
            if error.kind == "gone":
                return ""
            raise
        if not size:
            return ""
        with self._reading(name, "--offset", str(max(0, size - most))) as virsh:
            return virsh.stdout.read(most).decode("utf-8", "replace")

    def _send(self, file: Path, name: str, progress: Progress) -> None:
        total = file.stat().st_size
        words = ("vol-upload", name, str(file), "--pool", self.name, "--sparse")
        virsh = self.link.started(*words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        try:
            while virsh.poll() is None:
                progress(_position(virsh.pid, file), total)
                time.sleep(WATCH_S)
        finally:
            _ended(virsh)
        if virsh.returncode:
            raise CopyFailed(f"{file.name} could not be uploaded: {_words(virsh)}")

    def _checksum(self, name: str, total: int, progress: Progress) -> str:
        digest, done = hashlib.sha256(), 0
        with self._reading(name) as virsh:
            while data := virsh.stdout.read(BLOCK):
                digest.update(data)
                done += len(data)
                progress(min(done, total), total)
        return digest.hexdigest()

    @contextmanager
    def _reading(self, name: str, *options: str) -> Iterator[subprocess.Popen]:
        """A volume's bytes as they come. What stops the caller stops the reading."""
        words = ("vol-download", name, "/dev/stdout", "--pool", self.name, *options)
        virsh = self.link.started(*words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        try:
            yield virsh
            virsh.stdout.read()
            virsh.wait()
        finally:
            _ended(virsh)
        if virsh.returncode:
            raise CopyFailed(f"the volume {name} could not be read: {_words(virsh)}")


def progress_of(progress: Progress, total: int):
    """Of the three parts of an upload (send, read the file, read the volume) the one with that number."""

    def part(number: int) -> Progress:
        return lambda done, _: progress((number * total + done) // 3, total)

    return part


def _position(pid: int, file: Path) -> int:
    """How far a process has read a file; 0 where it has it not open (yet, or any more)."""
    try:
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            if os.path.samefile(descriptor, file):
                told = Path(f"/proc/{pid}/fdinfo/{descriptor.name}").read_text()
                return int(told.split("pos:")[1].split()[0])
    except OSError:  # it ended meanwhile
        return 0
    return 0


def _ended(virsh: subprocess.Popen) -> None:
    if virsh.poll() is None:
        virsh.kill()
        virsh.wait()


def _words(virsh: subprocess.Popen) -> str:
    lines = virsh.stderr.read().decode("utf-8", "replace").strip().splitlines()
    return "; ".join(line.removeprefix("error: ") for line in lines[-2:]) or "virsh gave no reason"
