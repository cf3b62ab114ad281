"""Where the bytes of a logical volume lie, told by the text that LVM keeps on each of its disks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.domain.lvm import BadLvm, Piece, located, read_group
from tests.disks import MIB, _physical_volume, _spanning_text

TEXT = _spanning_text(("0" * 32, "1" * 32), 3, 14 * MIB)


def group_of(text: str):
    disk = _physical_volume(14 * MIB, text)
    return read_group(lambda offset, length: disk[offset : offset + length])


def test_a_group_names_its_disks_and_where_each_piece_lies():
    group = group_of(TEXT)
    assert (group.name, group.physical) == ("vg-two", ("0" * 32, "1" * 32))
    (volume,) = group.logical
    assert (volume.name, volume.kind, volume.size) == ("data", "striped", 24 * MIB)
    assert located(volume.pieces, 12 * MIB - 8, 16) == [("0" * 32, 13 * MIB - 8, 8), ("1" * 32, MIB, 8)]
    assert located(volume.pieces, 24 * MIB - 4, 16) == [("1" * 32, 13 * MIB - 4, 4)]


def test_stripes_take_turns():
    piece = Piece(0, 4096, (("a", 100), ("b", 200)), 1024)
    assert located((piece,), 512, 2048) == [("a", 612, 512), ("b", 200, 1024), ("a", 1124, 512)]


@given(st.integers(0, 8192), st.integers(1, 8192))
def test_what_is_read_in_parts_lies_where_it_lies_as_a_whole(offset, length):
    pieces = (Piece(0, 4096, (("a", 0), ("b", 0)), 512), Piece(4096, 4096, (("c", 7),), 4096))

    def bytes_of(at, size):
        return [(disk, start + n) for disk, start, step in located(pieces, at, size) for n in range(step)]

    whole = bytes_of(0, 8192)
    assert len(set(whole)) == 8192
    assert bytes_of(offset, length) == whole[offset : offset + length]


def test_a_volume_of_a_kind_without_a_reader_keeps_its_name():
    (volume,) = group_of(TEXT.replace('type = "striped"', 'type = "thin"')).logical
    assert (volume.name, volume.kind, volume.pieces) == ("data", "thin", ())


@pytest.mark.parametrize(
    "text",
    [
        "}" * 40,
        "a {" * 100,
        TEXT.replace("extent_size = 8192", "extent_size = many"),
        TEXT.replace('"pv1", 0', '"pv9", 0'),
        TEXT.replace("stripes = [", "stripes = ").replace("]", ""),
        TEXT[: len(TEXT) // 2],
    ],
)
def test_damaged_metadata_is_told_as_such(text):
    with pytest.raises(BadLvm):
        group_of(text)
