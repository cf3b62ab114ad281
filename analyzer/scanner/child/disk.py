"""Random access to a disk's bytes, whatever holds them."""

import os
from typing import Protocol


class Unreadable(Exception):
    """This disk, or this part of it, cannot be read; the message is for the user."""


class Disk(Protocol):
    size: int

    def pread(self, offset: int, length: int) -> bytes:
        """The bytes from `offset`, shorter at the end of the disk. Raises OSError where the medium fails."""


class RawDisk:
    """A raw image on an open descriptor: works even where the sandbox could not open the file by name."""

    def __init__(self, descriptor: int):
        self._descriptor = descriptor
        self.size = os.fstat(descriptor).st_size

    def pread(self, offset: int, length: int) -> bytes:
        return os.pread(self._descriptor, length, offset) if length > 0 else b""


class Window:
    """A part of a disk, with its own zero; also a file object, as the libyal readers want one."""

    def __init__(self, disk: Disk, offset: int, size: int):
        self._disk, self._offset, self._at = disk, offset, 0
        self.size = max(min(size, disk.size - offset), 0)

    def pread(self, offset: int, length: int) -> bytes:
        length = min(length, self.size - offset)
        return self._disk.pread(self._offset + offset, length) if length > 0 and offset >= 0 else b""

    def read(self, length: int = -1) -> bytes:
        data = self.pread(self._at, self.size - self._at if length < 0 else length)
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.size}[whence]
        self._at = start + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def get_size(self) -> int:
        return self.size
