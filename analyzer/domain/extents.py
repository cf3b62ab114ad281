"""What a disk's bitmap says: which of its bytes changed, and which of those are zeros now. Pure.

A map is what an NBD server tells of a stretch: [(length, flags)] without a gap, as in the NBD protocol's block status.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

DIRTY = 1  # qemu:dirty-bitmap:NAME, docs/interop/nbd.txt
ZERO = 2  # base:allocation, NBD_STATE_ZERO

Map = Iterable[tuple[int, int]]


@dataclass(frozen=True)
class Changed:
    """A stretch that changed. `zero`: it reads as zeros, so that nothing needs to be read."""

    offset: int
    length: int
    zero: bool

    @property
    def end(self) -> int:
        return self.offset + self.length


def changed(offset: int, dirty: Map, allocation: Map) -> list[Changed]:
    """The changed stretches of two maps that begin at `offset`, in their order; neighbours of one kind are one. What
    only one of the maps covers is left out: a server may tell less than it was asked."""
    found: list[Changed] = []
    for length, is_dirty, is_zero in _together(dirty, allocation):
        if is_dirty:
            last = found[-1] if found else None
            if last and last.end == offset and last.zero == is_zero:
                found[-1] = Changed(last.offset, last.length + length, is_zero)
            else:
                found.append(Changed(offset, length, is_zero))
        offset += length
    return found


def covered(dirty: Map, allocation: Map) -> int:
    """How many bytes both maps tell of."""
    return min(sum(length for length, _ in dirty), sum(length for length, _ in allocation))


def _together(dirty: Map, allocation: Map) -> Iterator[tuple[int, bool, bool]]:
    left, right = iter(dirty), iter(allocation)
    one, other = next(left, None), next(right, None)
    while one and other:
        length = min(one[0], other[0])
        yield length, bool(one[1] & DIRTY), bool(other[1] & ZERO)
        one = (one[0] - length, one[1]) if one[0] > length else next(left, None)
        other = (other[0] - length, other[1]) if other[0] > length else next(right, None)


def chunks_of(pieces: Iterable[Changed], chunk: int) -> list[int]:
    """The numbers of the chunks that the pieces touch, each once, in order."""
    numbers: set[int] = set()
    for piece in pieces:
        numbers.update(range(piece.offset // chunk, (piece.end - 1) // chunk + 1))
    return sorted(numbers)
