"""The ext4 root file system inside a raw image: found, read and changed without mounting anything."""

import json
import posixpath
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from migrations_engine.targets.base import FilesystemDamaged, PrepareRefused
from migrations_engine.targets.qemu import sandbox
from migrations_engine.targets.qemu.apart import taken_apart
from migrations_engine.targets.qemu.sandbox import Limits, Sandboxed

EXT_MAGIC_AT, EXT_MAGIC = 1024 + 56, b"\x53\xef"
TOOL_TIMEOUT_S = 600  # e2fsck of a terabyte of ext4
# e2fsck forgets the offset when it has replayed a journal (e2fsck/journal.c opens the file again without it): what a
# machine that was not shut down leaves can only be mended in a file of its own
LOST_ITS_PLACE = "while trying to re-open"
MOST_LINKS = 16
MOST_TEXT = (
    512 * 1024
)  # a configuration file is smaller, and the sandbox keeps twice as much of debugfs' answer


@dataclass(frozen=True)
class Partition:
    """`number` None: the file system fills the whole disk."""

    number: int | None
    start: int
    size: int
    last: bool = True


def partitions(image: Path) -> list[Partition]:
    """In the order of the disk; one without number where there is no partition table. Sizes in bytes."""
    ended = sandbox.run(
        Sandboxed(("sfdisk", "--json", "/disk"), read={"/disk": image}, limits=Limits(cpu_s=20)), 30
    )
    if ended.exit_code:
        return [Partition(None, 0, image.stat().st_size)]
    table = json.loads(ended.stdout)["partitiontable"]
    sector = table.get("sectorsize", 512)
    rows = sorted(table.get("partitions", ()), key=lambda row: row["start"])
    end = max((row["start"] + row["size"] for row in rows), default=0)
    return [
        Partition(
            int(row["node"].removeprefix("/disk")),
            row["start"] * sector,
            row["size"] * sector,
            last=row["start"] + row["size"] == end and row["type"] not in ("5", "f", "85"),
        )
        for row in rows
    ]


def has_ext(image: Path, partition: Partition) -> bool:
    with open(image, "rb") as file:
        file.seek(partition.start + EXT_MAGIC_AT)
        return file.read(2) == EXT_MAGIC


def find_root(image: Path) -> "Ext4":
    """The ext file system that holds /etc. Raises PrepareRefused where there is none, FilesystemDamaged."""
    for found in _mended(image):
        if found.kind("/etc") == "directory":
            return found
    for found in _mended(image):
        found.require_clean()  # one that lost its root folder would look like one without /etc
    raise PrepareRefused(
        "no ext4 root file system was found on the disk, and no other kind can be changed offline"
    )


def find_boot(image: Path) -> "tuple[Ext4, str] | None":
    """The file system with GRUB's menu and the menu's path in it, wherever /boot is mounted from."""
    for found in _mended(image):
        for path in ("/boot/grub/grub.cfg", "/grub/grub.cfg", "/boot/grub2/grub.cfg", "/grub2/grub.cfg"):
            if found.kind(path) == "regular":
                return found, path
    return None


def _mended(image: Path) -> "Iterator[Ext4]":
    """Each ext file system, its journal replayed: what debugfs reads is then what the guest had written."""
    for partition in partitions(image):
        if has_ext(image, partition):
            found = Ext4(image, partition)
            found.mend()
            yield found


@dataclass(frozen=True)
class Ext4:
    """Reads through debugfs. Paths are absolute and resolved inside this file system only."""

    image: Path
    partition: Partition

    @property
    def _inside(self) -> str:
        return f"/disk?offset={self.partition.start}"

    def _debugfs(self, request: str) -> sandbox.Ended:
        job = Sandboxed(
            ("debugfs", "-R", request, self._inside), read={"/disk": self.image}, limits=Limits(cpu_s=60)
        )
        return sandbox.run(job, 120)

    def kind(self, path: str) -> str | None:
        """ "regular", "directory", "symlink", ...; None where nothing is."""
        return self._stat(path)[0]

    def _stat(self, path: str) -> tuple[str | None, str]:
        text = self._debugfs(f'stat "{path}"').stdout
        if "Type: " not in text:
            return None, ""
        kind = text.split("Type: ", 1)[1].split()[0]
        target = (
            text.split('Fast link dest: "', 1)[1].split('"\n', 1)[0] if "Fast link dest: " in text else ""
        )
        return kind, target

    def resolve(self, path: str) -> str:
        """The path behind links in its last component."""
        for _ in range(MOST_LINKS):
            kind, target = self._stat(path)
            if kind != "symlink" or not target:
                return path
            path = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
        raise PrepareRefused(f"{path} on the disk is a circle of links")

    def read(self, path: str) -> str | None:
        """A text file; None where there is none."""
        path = self.resolve(path)
        if self.kind(path) != "regular":
            return None
        text = self._debugfs(f'cat "{path}"').stdout
        if len(text) >= MOST_TEXT or "\N{REPLACEMENT CHARACTER}" in text:
            raise PrepareRefused(f"{path} on the disk is no text that could be changed and written back")
        return text

    def listing(self, path: str) -> list[str]:
        """Names in a folder; empty where there is none."""
        rows = self._debugfs(f'ls -p "{self.resolve(path)}"').stdout.splitlines()
        names = (row.split("/")[5] for row in rows if row.count("/") >= 6)
        return [name for name in names if name not in ("", ".", "..")]

    def mend(self, *, thoroughly: bool = False) -> None:
        """Replays the journal and mends what is safe to mend; `thoroughly` looks at all of a file system that says
        it is clean. Raises FilesystemDamaged when more than that is wrong."""
        flags = ("-p", "-f") if thoroughly else ("-p",)
        ended = self._checked(flags, {"write": {"/disk": self.image}}, self._inside)
        if LOST_ITS_PLACE in ended.stdout + ended.stderr:
            with taken_apart(self.image, self.partition.start, self.partition.size) as alone:
                ended = self._checked(flags, {"write": {"/disk": alone}}, "/disk")
                _require(ended, (0, 1))
        _require(ended, (0, 1))

    def require_clean(self) -> None:
        """Looks at everything, writes nothing. Raises FilesystemDamaged."""
        _require(self._checked(("-f", "-n"), {"read": {"/disk": self.image}}, self._inside), (0,))

    def _checked(self, flags: tuple[str, ...], mounts: dict, inside: str) -> sandbox.Ended:
        return sandbox.run(Sandboxed(("e2fsck", *flags, inside), **mounts), TOOL_TIMEOUT_S)


def _require(ended: sandbox.Ended, good: tuple[int, ...]) -> None:
    if ended.exit_code not in good:
        words = (ended.stdout + ended.stderr).strip().splitlines()
        raise FilesystemDamaged(f"a file system of the copy is damaged: {'; '.join(words[-3:])}")


@dataclass
class Change:
    """What to write, gathered first and done by one debugfs, then checked: all of it or an error."""

    disk: Ext4
    files: list[tuple[str, bytes, int]] = field(default_factory=list)
    links: list[tuple[str, str]] = field(default_factory=list)

    def write(self, path: str, content: str | bytes, mode: int = 0o644) -> None:
        data = content.encode() if isinstance(content, str) else content
        self.files.append((self.disk.resolve(path), data, mode))

    def link(self, path: str, target: str) -> None:
        self.links.append((path, target))

    def commit(self) -> None:
        """Raises FilesystemDamaged, PrepareRefused."""
        with tempfile.TemporaryDirectory(prefix="mp-change-") as folder:
            requests = self._requests(Path(folder))
            Path(folder, "requests").write_text("".join(f"{request}\n" for request in requests))
            job = Sandboxed(
                ("debugfs", "-w", "-f", "/in/requests", f"/disk?offset={self.disk.partition.start}"),
                read={"/in": Path(folder)},
                write={"/disk": self.disk.image},
                limits=Limits(cpu_s=120),
            )
            ended = sandbox.run(job, 300)
        # debugfs ends with 0 whatever happens: its complaints are what it writes to stderr after its banner
        complaints = [line for line in ended.stderr.splitlines() if not line.startswith("debugfs ")]
        if ended.exit_code or complaints:
            raise PrepareRefused(f"the disk could not be changed: {'; '.join(complaints[:3])}")
        self.disk.require_clean()

    def _requests(self, folder: Path) -> list[str]:
        made: set[str] = set()
        requests = []
        for number, (path, data, mode) in enumerate(self.files):
            requests += self._folders(path, made)
            Path(folder, str(number)).write_bytes(data)
            if self.disk.kind(path) is not None:
                requests.append(f'rm "{path}"')
            requests += [f'write /in/{number} "{path}"', f'sif "{path}" mode 0{0o100000 | mode:o}']
            requests += [f'sif "{path}" uid 0', f'sif "{path}" gid 0']
        for path, target in self.links:
            requests += self._folders(path, made)
            if self.disk.kind(path) is not None:
                requests.append(f'rm "{path}"')
            requests.append(f'symlink "{path}" "{target}"')
        return requests

    def _folders(self, path: str, made: set[str]) -> list[str]:
        """mkdir for each missing folder above; asked first, because debugfs corrupts one that exists."""
        requests = []
        for above in reversed([str(each) for each in Path(path).parents][:-1]):
            if above not in made and self.disk.kind(above) is None:
                requests += [f'mkdir "{above}"', f'sif "{above}" mode 040755']
            made.add(above)
        return requests
