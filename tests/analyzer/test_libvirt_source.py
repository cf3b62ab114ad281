"""What a hypervisor says of its machines' disks, played; really asked in tests/real/test_libvirt_source.py."""

from contextlib import contextmanager

import pytest

from analyzer.sources.libvirt.connection import failed
from analyzer.sources.libvirt.source import LibvirtSource
from analyzer.sources.libvirt.xml import read_xml

UUID = "0a1b2c3d-0000-4000-8000-000000000001"
NOT_FOUND = "error: Storage volume not found: no storage vol with matching path"


class Hypervisor:
    def __init__(self, disk: str, *, is_remote: bool, volumes=(), says=NOT_FOUND):
        self.disk, self.is_remote, self.volumes, self.says = disk, is_remote, volumes, says

    def xml(self, *words):
        return read_xml(
            f"<domain><uuid>{UUID}</uuid><name>web01</name><devices>{self.disk}</devices></domain>"
        )

    def ask(self, verb, path):
        if path not in self.volumes:
            raise failed(verb, self.says)
        return "Name: x"


def refusal(monkeypatch, hypervisor) -> str:
    @contextmanager
    def connect(self):
        yield hypervisor

    monkeypatch.setattr(LibvirtSource, "connect", connect)
    return LibvirtSource("qemu+unix:///system").off_refusal(UUID)


def disk(path, kind="file", source="file") -> str:
    return f'<disk type="{kind}" device="disk"><source {source}="{path}"/><target dev="vda"/></disk>'


def test_a_file_of_this_machine_must_be_there(monkeypatch, tmp_path):
    there, gone = tmp_path / "a.qcow2", tmp_path / "b.qcow2"
    there.touch()
    assert refusal(monkeypatch, Hypervisor(disk(there), is_remote=False)) == ""
    assert "not to be found" in refusal(monkeypatch, Hypervisor(disk(gone), is_remote=False))


def test_a_file_of_another_machine_must_be_in_a_pool(monkeypatch):
    known = Hypervisor(disk("/p/a.qcow2"), is_remote=True, volumes=("/p/a.qcow2",))
    assert refusal(monkeypatch, known) == ""
    assert "no active storage pool" in refusal(monkeypatch, Hypervisor(disk("/p/b.qcow2"), is_remote=True))


def test_a_hypervisor_that_is_away_says_nothing_of_the_disk(monkeypatch):
    away = Hypervisor(disk("/p/a.qcow2"), is_remote=True, says="error: failed to connect to the hypervisor")
    with pytest.raises(Exception, match="failed to connect"):
        refusal(monkeypatch, away)


def test_a_disk_that_is_no_file_is_told(monkeypatch):
    block = disk("/dev/vg/web01", "block", "dev")
    assert "vda is no file" in refusal(monkeypatch, Hypervisor(block, is_remote=False))
