"""Readers of file systems behind one small surface: children, size, read and link by inode number.

libfsext reads ext and libfsxfs XFS; The Sleuth Kit reads FAT, NTFS, ISO 9660 and the ext that libfsext cannot.
Both were tried on ext: The Sleuth Kit gets links of more than 59 characters wrong on ext4 with extents, knows
no bigalloc, and can lose a minute in one damaged inode; libfsext cannot list a directory kept in its inode.
Inode numbers, not paths, so that nobody but `tree` follows a link.
"""

import stat
from collections.abc import Callable
from typing import NamedTuple, Protocol

from analyzer.scanner.child.disk import Unreadable, Window

MOST_CHILDREN = 200_000  # of one directory; more is a trap, or a mail spool that nobody here reads
MOST_LOST = 1_000  # damaged entries; then the file system is not worth more time
LONGEST_LINK = 4096


Reader = Callable[[int, int], bytes]  # (offset, length) -> bytes of a file, shorter at its end


class Child(NamedTuple):
    inode: int
    kind: str  # "file", "dir", "link", "other"


class Filesystem(Protocol):
    root: int
    lost: int  # entries of directories that were too damaged to be listed

    def children(self, inode: int) -> dict[str, Child]: ...
    def size(self, inode: int) -> int: ...
    def read(self, inode: int, limit: int) -> bytes: ...
    def opened(self, inode: int) -> Reader: ...
    def link(self, inode: int) -> str: ...


def open_filesystem(kind: str, window: Window) -> Filesystem:
    """Raises Unreadable for a kind without a reader and for a file system too damaged to open."""
    if kind == "xfs":
        return _opened(_XfsFilesystem, window)
    if kind in ("ext2", "ext3", "ext4"):
        return _opened(_TskFilesystem if _keeps_data_in_inodes(window) else _ExtFilesystem, window)
    if kind in ("vfat", "ntfs", "iso9660"):
        return _opened(_TskFilesystem, window)
    raise Unreadable(f"there is no reader for {kind} here")


def _keeps_data_in_inodes(window: Window) -> bool:
    """ext4's feature inline_data (INCOMPAT bit 15)."""
    return bool(int.from_bytes(window.pread(1024 + 96, 4), "little") & 0x8000)


def _opened(reader: type, window: Window) -> Filesystem:
    try:
        return reader(window)
    except OSError as error:
        raise Unreadable(f"the file system is damaged: {str(error).splitlines()[0][:200]}") from None


class _TskFilesystem:
    def __init__(self, window: Window):
        import pytsk3  # here: a disk of XFS alone need not load it

        class Image(pytsk3.Img_Info):
            def __init__(self):
                super().__init__(url="", type=pytsk3.TSK_IMG_TYPE_EXTERNAL)

            def read(self, offset: int, length: int) -> bytes:
                return window.pread(offset, length)

            def get_size(self) -> int:
                return window.size

        self._image = Image()
        self._filesystem = pytsk3.FS_Info(self._image)
        self.root, self.lost = self._filesystem.info.root_inum, 0
        self._allocated = pytsk3.TSK_FS_NAME_FLAG_ALLOC
        self._by_name = {
            pytsk3.TSK_FS_NAME_TYPE_REG: "file",
            pytsk3.TSK_FS_NAME_TYPE_DIR: "dir",
            pytsk3.TSK_FS_NAME_TYPE_LNK: "link",
        }
        self._by_inode = {
            pytsk3.TSK_FS_META_TYPE_REG: "file",
            pytsk3.TSK_FS_META_TYPE_DIR: "dir",
            pytsk3.TSK_FS_META_TYPE_LNK: "link",
        }

    def children(self, inode: int) -> dict[str, Child]:
        found = {}
        for entry in self._filesystem.open_dir(inode=inode):
            name, meta = entry.info.name, entry.info.meta
            if name.flags != self._allocated or meta is None or name.name in (b".", b".."):
                continue  # The Sleuth Kit shows deleted names as well
            kind = self._by_name.get(name.type) or self._by_inode.get(meta.type) or "other"
            found[name.name.decode("utf-8", "backslashreplace")] = Child(name.meta_addr, kind)
            if len(found) >= MOST_CHILDREN:
                break
        return found

    def size(self, inode: int) -> int:
        return self._filesystem.open_meta(inode=inode).info.meta.size

    def read(self, inode: int, limit: int) -> bytes:
        file = self._filesystem.open_meta(inode=inode)
        length = min(file.info.meta.size, limit)
        return file.read_random(0, length) if length > 0 else b""

    def opened(self, inode: int) -> Reader:
        file = self._filesystem.open_meta(inode=inode)
        return lambda offset, length: file.read_random(
            offset, min(length, max(file.info.meta.size - offset, 0))
        )

    def link(self, inode: int) -> str:
        target = self._filesystem.open_meta(inode=inode).info.meta.link or b""
        return target[:LONGEST_LINK].decode("utf-8", "backslashreplace")


class _LibyalFilesystem:
    """pyfsext and pyfsxfs speak alike."""

    def __init__(self, window: Window):
        self._volume = self._library().volume()
        self._volume.open_file_object(window)
        self._window = window  # the library holds no reference of its own
        self.root, self.lost = self._volume.get_root_directory().get_inode_number(), 0

    def _entry(self, inode: int):
        return self._volume.get_file_entry_by_inode(inode)

    def children(self, inode: int) -> dict[str, Child]:
        directory, found = self._entry(inode), {}
        for index in range(min(directory.get_number_of_sub_file_entries(), MOST_CHILDREN)):
            try:
                entry = directory.get_sub_file_entry(index)
                found[entry.get_name() or ""] = Child(entry.get_inode_number(), _kind(entry.get_file_mode()))
            except OSError:
                self.lost += 1  # one damaged inode must not hide its neighbours
                if self.lost > MOST_LOST:
                    raise
        return found

    def size(self, inode: int) -> int:
        return self._entry(inode).get_size()

    def read(self, inode: int, limit: int) -> bytes:
        entry = self._entry(inode)
        length = min(entry.get_size(), limit)
        return entry.read_buffer_at_offset(length, 0) if length > 0 else b""

    def opened(self, inode: int) -> Reader:
        entry = self._entry(inode)
        size = entry.get_size()
        return lambda offset, length: (
            entry.read_buffer_at_offset(min(length, size - offset), offset) if offset < size else b""
        )

    def link(self, inode: int) -> str:
        return (self._entry(inode).get_symbolic_link_target() or "")[:LONGEST_LINK]


class _XfsFilesystem(_LibyalFilesystem):
    @staticmethod
    def _library():
        import pyfsxfs

        return pyfsxfs


class _ExtFilesystem(_LibyalFilesystem):
    @staticmethod
    def _library():
        import pyfsext

        return pyfsext


def _kind(mode: int) -> str:
    kinds = {stat.S_IFREG: "file", stat.S_IFDIR: "dir", stat.S_IFLNK: "link"}
    return kinds.get(stat.S_IFMT(mode), "other")
