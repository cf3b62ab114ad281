"""What a program inside the scanner's sandbox can see and do: nothing worth having."""

import base64
import os
import time
from pathlib import Path

import pytest

from analyzer.scanner import sandbox
from analyzer.scanner.sandbox import Limits, SandboxUnavailable
from analyzer.scanner.scan import scan_image


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "image"
    path.write_bytes(b"the image")
    descriptor = os.open(path, os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


def read_inside(path: object, image: int, limits: Limits | None = None) -> bytes | None:
    """A file as a program in the sandbox reads it; None if it is not there."""
    ended = sandbox.run(["base64", "-e", str(path)], image, limits or Limits())
    return None if ended.code else base64.decodebytes(ended.output)


def test_the_image_is_there(image):
    assert read_inside(sandbox.IMAGE_PATH, image) == b"the image"


def test_no_file_of_the_host_is(image, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("secret")
    project = Path(sandbox.__file__).parents[2]
    assert read_inside(project / "analyzer/scanner/sandbox.py", image)  # our own code is: it runs there
    for path in (secret, "/etc/passwd", "/etc/shadow", project / "manage.py", project / "config/settings.py"):
        assert Path(path).exists()
        assert read_inside(path, image) is None


def test_no_variable_of_the_environment_is(image, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql://secret")
    names = {each.split(b"=")[0] for each in read_inside("/proc/self/environ", image).split(b"\0") if each}
    assert names == {b"PATH", b"PYTHONPATH", b"PYTHONDONTWRITEBYTECODE", b"LC_ALL", b"TZ", b"PWD"}


def test_no_network_but_the_loopback_is(image):
    devices = [line.split(b":")[0].strip() for line in read_inside("/proc/net/dev", image).splitlines()[2:]]
    assert devices == [b"lo"]


def test_no_capability_is_and_none_can_be_gained(image):
    status = dict(
        line.split(b":\t", 1)
        for line in read_inside("/proc/self/status", image).splitlines()
        if b":\t" in line
    )
    assert {int(status[name], 16) for name in (b"CapInh", b"CapPrm", b"CapEff", b"CapBnd", b"CapAmb")} == {0}
    assert status[b"NoNewPrivs"] == b"1"


def test_every_mount_but_the_scratch_space_is_read_only(image):
    writable = set()
    for line in read_inside("/proc/self/mountinfo", image).decode().splitlines():
        _, _, _, _, point, options, *_ = line.split()
        if "rw" in options.split(",") and not point.startswith("/proc") and not _is_device(point):
            writable.add(point)
    assert writable == {"/tmp"}


def _is_device(point: str) -> bool:
    """/dev/null and its like, and the terminals: writing there keeps nothing."""
    return point.startswith("/dev/") and point != "/dev/shm"


def test_a_program_that_never_ends_is_ended_with_all_its_children(image):
    marker = "59481"  # in the command line of the server, so that a survivor could be found
    started = time.monotonic()
    ended = sandbox.run(["http.server", marker], image, Limits(wall_s=1))
    assert ended.exceeded == "it took more than 1 s"
    assert time.monotonic() - started < 30
    assert not [
        each
        for each in Path("/proc").glob("[0-9]*/cmdline")
        if f"http.server\0{marker}".encode() in _read(each)
    ]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""  # it ended while we looked


def test_endless_output_is_cut(image):
    ended = sandbox.run(["base64", "-e", "/dev/zero"], image, Limits(output_mib=1))
    assert ended.exceeded == "its description is longer than 1 MiB"
    assert len(ended.output) == 1 << 20


def test_endless_computing_is_ended(image):
    ended = sandbox.run(["timeit", "-n", "1", "while True: pass"], image, Limits(cpu_s=1, wall_s=60))
    assert ended.code
    assert ended.exceeded in ("it used up its CPU time", "")


def test_endless_memory_is_refused(image):
    ended = sandbox.run(["timeit", "-n", "1", "bytearray(1 << 34)"], image, Limits(memory_mib=256))
    assert "MemoryError" in ended.errors


def test_the_scratch_space_has_an_end(image):
    fill = "open('/tmp/x', 'wb').write(bytes(1 << 25))"
    assert sandbox.run(["timeit", "-n", "1", "-r", "1", fill], image, Limits(scratch_mib=64)).code == 0
    assert sandbox.run(["timeit", "-n", "1", "-r", "1", fill], image, Limits(scratch_mib=16)).code != 0


def test_without_bubblewrap_nothing_is_read(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "disk").write_bytes(bytes(510) + b"\x55\xaa")
    with pytest.raises(SandboxUnavailable, match="only read in a sandbox"):
        scan_image(tmp_path / "disk", "raw")


def test_where_namespaces_are_forbidden_nothing_is_read(tmp_path, monkeypatch):
    """As on a machine whose kernel refuses: bubblewrap says so and ends."""
    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/sh\necho 'bwrap: No permissions to create a new namespace' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    (tmp_path / "disk").write_bytes(bytes(510) + b"\x55\xaa")
    with pytest.raises(SandboxUnavailable, match="No permissions to create a new namespace"):
        scan_image(tmp_path / "disk", "raw")
