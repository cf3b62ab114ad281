"""Which bytes of a disk changed, by two maps of it."""

from analyzer.domain.extents import Changed, changed, chunks_of, covered

K = 1024


def test_what_did_not_change_is_left_out_and_zeros_are_told():
    dirty = [(64 * K, 0), (128 * K, 1), (64 * K, 0)]
    allocation = [(128 * K, 0), (128 * K, 3)]
    assert changed(0, dirty, allocation) == [Changed(64 * K, 64 * K, False), Changed(128 * K, 64 * K, True)]


def test_neighbours_of_one_kind_are_one():
    assert changed(10 * K, [(4 * K, 1), (4 * K, 1)], [(2 * K, 0), (6 * K, 1)]) == [Changed(10 * K, 8 * K, False)]


def test_only_what_both_maps_cover_is_told():
    dirty, allocation = [(64 * K, 1), (64 * K, 1)], [(96 * K, 0)]
    assert covered(dirty, allocation) == 96 * K
    assert changed(0, dirty, allocation) == [Changed(0, 96 * K, False)]


def test_the_chunks_that_are_touched_are_told_once():
    assert chunks_of([Changed(0, 4, False), Changed(3, 6, True), Changed(40, 4, False)], 4) == [0, 1, 2, 10]
