"""The machine's own view of its files: several file systems mounted into one tree, links resolved inside it.

A link that points to `/etc/shadow` means the guest's; `..` above the root stays at the root; a chain of more
than 40 links is an error, as in the kernel (MAXSYMLINKS). Nothing here opens a path of the host.
"""

import fnmatch
from collections.abc import Iterator
from typing import NamedTuple

from analyzer.scanner.child.disk import Unreadable
from analyzer.scanner.child.filesystems import Child, Filesystem, Reader

MOST_LINKS = 40
MOST_STEPS = 500  # components walked for one path, those of its links included
TEXT_LIMIT = 1 << 20  # configuration files; what is longer is not read to its end


class Place(NamedTuple):
    filesystem: Filesystem
    inode: int
    kind: str
    path: str  # canonical, "/" for the root


class Tree:
    def __init__(self, root: Filesystem):
        self._mounts: dict[str, Filesystem] = {"/": root}
        self._children: dict[tuple[int, int], dict[str, Child]] = {}
        self.cut: set[str] = set()  # files of which only the beginning was read

    def mount(self, path: str, filesystem: Filesystem) -> None:
        """What stood at `path` before is hidden, as mount(8) does."""
        place = self.find(path)
        if place is None or place.kind != "dir":
            raise Unreadable(f"{path} is not a directory")
        self._mounts[place.path] = filesystem

    @property
    def lost(self) -> int:
        """Files and directories that were too damaged to be listed, so far."""
        return sum(filesystem.lost for filesystem in self._mounts.values())

    def find(self, path: str, *, follow: bool = True) -> Place | None:
        """Where `path` leads; None if it leads nowhere. `follow`: also when its last part is a link."""
        stack = [Place(self._mounts["/"], self._mounts["/"].root, "dir", "/")]
        pending = _parts(path)
        links = steps = 0
        while pending:
            steps += 1
            if steps > MOST_STEPS:
                return None
            part = pending.pop()
            if part == "..":
                stack = stack[:-1] or stack
                continue
            place = self._step(stack[-1], part)
            if place is None:
                return None
            if place.kind == "link" and (pending or follow):
                links += 1
                if links > MOST_LINKS:
                    return None
                target = place.filesystem.link(place.inode)
                stack = stack[:1] if target.startswith("/") else stack
                pending += _parts(target)
            else:
                stack.append(place)
        return stack[-1]

    def _step(self, place: Place, part: str) -> Place | None:
        if place.kind != "dir":
            return None
        child = self._listing(place).get(part)
        path = f"{place.path.rstrip('/')}/{part}"
        if path in self._mounts:
            return Place(self._mounts[path], self._mounts[path].root, "dir", path)
        return Place(place.filesystem, child.inode, child.kind, path) if child else None

    def _listing(self, place: Place) -> dict[str, Child]:
        key = (id(place.filesystem), place.inode)
        if key not in self._children:
            self._children[key] = place.filesystem.children(place.inode)
        return self._children[key]

    def exists(self, path: str) -> bool:
        return self.find(path) is not None

    def is_file(self, path: str) -> bool:
        place = self.find(path)
        return place is not None and place.kind == "file"

    def is_dir(self, path: str) -> bool:
        place = self.find(path)
        return place is not None and place.kind == "dir"

    def link(self, path: str) -> str | None:
        """A link's target as it is written; None if `path` is no link."""
        place = self.find(path, follow=False)
        return place.filesystem.link(place.inode) if place and place.kind == "link" else None

    def listing(self, path: str) -> dict[str, str]:
        """Names in a directory, sorted, with the kind of each; empty if there is no such directory."""
        place = self.find(path)
        if place is None or place.kind != "dir":
            return {}
        return {name: child.kind for name, child in sorted(self._listing(place).items())}

    def size(self, path: str) -> int:
        place = self.find(path)
        return place.filesystem.size(place.inode) if place and place.kind == "file" else 0

    def read(self, path: str, limit: int = TEXT_LIMIT) -> bytes | None:
        """At most `limit` bytes of a regular file; None if there is none. What was cut is noted in `cut`."""
        place = self.find(path)
        if place is None or place.kind != "file":
            return None
        data = place.filesystem.read(place.inode, limit)
        if len(data) >= limit and place.filesystem.size(place.inode) > limit:
            self.cut.add(path)
        return data

    def opened(self, path: str) -> Reader | None:
        """Random access to a regular file, for those that are too large to be read whole."""
        place = self.find(path)
        return place.filesystem.opened(place.inode) if place and place.kind == "file" else None

    def text(self, path: str, limit: int = TEXT_LIMIT) -> str | None:
        data = self.read(path, limit)
        return None if data is None else data.decode("utf-8", "backslashreplace")

    def glob(self, pattern: str, most: int = 200) -> Iterator[str]:
        """Paths that match a pattern with `*` in any part, at most `most` of them."""
        found = [""]
        for part in pattern.strip("/").split("/"):
            if "*" in part:
                found = [
                    f"{base}/{name}"
                    for base in found
                    for name in fnmatch.filter(self.listing(base or "/"), part)
                ]
            else:
                found = [f"{base}/{part}" for base in found]
            found = found[:most]
        return (path for path in found if self.exists(path))


def _parts(path: str) -> list[str]:
    """Components of a path, last one first, so that `pop` gives the next."""
    return [part for part in reversed(path.split("/")) if part not in ("", ".")]
