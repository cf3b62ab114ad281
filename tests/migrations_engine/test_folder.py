"""The folder of a machine, whose lock keeps two workers apart: also two that remove it at once."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from migrations_engine.targets.base import no_keep_alive
from migrations_engine.targets.qemu import folder as folders
from migrations_engine.targets.qemu.folder import Folder


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(folders, "WAIT_S", 0.01)
    made = Folder(tmp_path / "machine")
    with made.locked(no_keep_alive):
        made.raw.write_bytes(b"disk")
    return made


def removed(folder: Folder, keep_alive=no_keep_alive) -> tuple[str, ...]:
    with folder.locked(keep_alive):
        return folder.remove()


def test_of_two_who_remove_it_at_once_one_finds_nothing_more_to_do(folder):
    is_waiting = Event()
    with ThreadPoolExecutor(1) as other:
        with folder.locked(no_keep_alive):
            second = other.submit(removed, folder, is_waiting.set)
            assert is_waiting.wait(10)
            assert folder.remove() == ("disk.raw",)
        assert second.result(10) == ()
    assert not folder.path.exists()


def test_who_waited_while_it_was_removed_and_made_again_waits_for_the_new_one(folder):
    is_waiting = Event()
    with ThreadPoolExecutor(2) as others:
        with folder.locked(no_keep_alive):
            second = others.submit(removed, folder, is_waiting.set)
            assert is_waiting.wait(10)
            folder.remove()
            anew = folder.locked(no_keep_alive)
            anew.__enter__()
        is_waiting.clear()
        assert is_waiting.wait(10) and not second.done()
        folder.raw.write_bytes(b"another disk")
        anew.__exit__(None, None, None)
        assert second.result(10) == ("disk.raw",)


def test_removing_again_and_again_from_all_sides_ends_in_nothing(folder):
    with ThreadPoolExecutor(8) as workers:
        results = list(workers.map(lambda _: removed(folder), range(200)))
    assert sum(map(len, results)) == 1
    assert not folder.path.exists()
