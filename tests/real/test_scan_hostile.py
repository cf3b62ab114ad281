"""Disks made to hurt: each ends as "unreadable: reason" or as partial coverage, soon, and tells nothing of the host."""

import json
import random
import sqlite3
import struct
from pathlib import Path

import pytest

from analyzer.domain.facts import Facts
from analyzer.scanner.scan import Limits, UnreadableImage, image_format, scan_image
from tests.disks import DEBIAN, MIB, ROOT_AT, converted, lay_out, make_disk, make_lvm_disk, run

QUICK = Limits(wall_s=60)  # a hostile disk that needs a minute has won


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    return lay_out(tmp_path_factory.mktemp("tree"), DEBIAN)


@pytest.fixture(scope="module")
def debian(tmp_path_factory, tree) -> Path:
    return make_disk(tmp_path_factory.mktemp("debian") / "web01.raw", tree, size=32 * MIB)


@pytest.fixture
def secret(tmp_path) -> Path:
    """A file of the host that must never be in any answer."""
    path = tmp_path / "host-secret"
    path.write_text("root:TOP-SECRET-OF-THE-HOST:0:0::/root:/bin/sh\n" * 40)
    return path


def scanned(tmp_path: Path, files: dict[str, str | bytes], size: int = 64 * MIB) -> Facts:
    return scan_image(
        make_disk(tmp_path / "d", lay_out(tmp_path / "tree", DEBIAN | files), size=size), "raw", limits=QUICK
    )


def refused(path: Path, image: str | None = None) -> str:
    with pytest.raises(UnreadableImage) as caught:
        scan_image(path, image or image_format(path), limits=QUICK)
    assert "SECRET" not in caught.value.reason
    return caught.value.reason


def test_an_empty_file_is_unreadable(tmp_path):
    (tmp_path / "d").touch()
    assert refused(tmp_path / "d", "raw") == "the file is empty"
    assert refused(tmp_path / "d") == "the file is empty"


@pytest.mark.parametrize("image", ["qcow2", "vmdk", "vhdx", "vdi", "vpc", "ova"])
def test_garbage_is_unreadable_as_any_format(tmp_path, image):
    (tmp_path / "d").write_bytes(random.Random(1).randbytes(MIB))
    assert refused(tmp_path / "d", image)


def test_garbage_behind_a_boot_signature_holds_no_system(tmp_path):
    (tmp_path / "d").write_bytes(
        random.Random(2).randbytes(510) + b"\x55\xaa" + random.Random(3).randbytes(MIB)
    )
    facts = scan_image(tmp_path / "d", "raw", limits=QUICK)
    assert facts.covered("os").reason.startswith("no readable root filesystem")


@pytest.mark.parametrize("image", ["qcow2", "vmdk", "vhdx", "vdi", "vpc"])
def test_a_truncated_image_is_unreadable_or_partly_read(debian, tmp_path, image):
    disk = converted(debian, image, tmp_path / "d")
    whole = disk.read_bytes()
    for share in (0.001, 0.3, 0.7):
        disk.write_bytes(whole[: int(len(whole) * share)])
        try:
            facts = scan_image(disk, image, limits=QUICK)
        except UnreadableImage as error:
            assert error.reason
        else:
            assert any(each.state != "full" and each.reason for each in facts.coverage)


def test_a_truncated_raw_disk_says_that_it_is_cut_off(debian, tmp_path):
    (tmp_path / "d").write_bytes(debian.read_bytes()[: 20 * MIB])
    facts = scan_image(tmp_path / "d", "raw", limits=QUICK)
    assert any("cut off" in each.text for each in facts.concerns)


@pytest.fixture(scope="module")
def disks(tmp_path_factory, tree) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("disks")
    return {
        "ext4": make_disk(folder / "ext4", tree, size=32 * MIB),
        "xfs": make_disk(folder / "xfs", tree, kind="xfs", size=330 * MIB),
        "lvm": make_lvm_disk(folder / "lvm", tree, size=32 * MIB),
    }


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("kind", ["ext4", "xfs", "lvm"])
def test_a_corrupted_file_system_never_does_more_than_lower_the_coverage(disks, tmp_path, kind, seed):
    source = random.Random(seed)
    run("cp", "--sparse=always", disks[kind], tmp_path / "d")
    with (tmp_path / "d").open("r+b") as file:
        for _ in range(4 ** (1 + seed % 5)):
            # superblocks, tables of inodes, directories and LVM's text stand in the first mebibytes
            file.seek(ROOT_AT + source.randrange(8 * MIB))
            file.write(source.randbytes(8))
    try:
        facts = scan_image(tmp_path / "d", "raw", limits=QUICK)
    except UnreadableImage as error:
        assert "the reader failed" not in error.reason, "damage made a reader stumble"
    else:
        assert len(facts.coverage) == 10


def test_a_backing_file_is_refused_and_not_read(tmp_path, secret):
    run("qemu-img", "create", "-q", "-f", "qcow2", "-b", secret, "-F", "raw", tmp_path / "d.qcow2", "64M")
    assert "it has a backing file" in refused(tmp_path / "d.qcow2")


def test_a_backing_file_inside_the_sandbox_is_refused_as_well(tmp_path):
    run(
        "qemu-img",
        "create",
        "-q",
        "-u",
        "-f",
        "qcow2",
        "-b",
        "/image/disk",
        "-F",
        "raw",
        tmp_path / "d.qcow2",
        "64M",
    )
    assert "it has a backing file" in refused(tmp_path / "d.qcow2")


def test_an_external_data_file_is_refused(tmp_path):
    run(
        "qemu-img",
        "create",
        "-q",
        "-f",
        "qcow2",
        "-o",
        f"data_file={tmp_path}/x.raw",
        tmp_path / "d.qcow2",
        "64M",
    )
    assert refused(tmp_path / "d.qcow2")


def test_a_vmdk_whose_extent_is_a_file_of_the_host_is_refused(tmp_path, secret):
    (tmp_path / "d.vmdk").write_text(
        '# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\ncreateType="monolithicFlat"\n'
        f'RW 4 FLAT "{secret}" 0\n'
    )
    assert "data is in other files" in refused(tmp_path / "d.vmdk")


def test_a_sparse_vmdk_whose_descriptor_names_a_file_of_the_host_is_refused(debian, tmp_path, secret):
    disk = converted(debian, "vmdk", tmp_path / "d.vmdk")
    data = disk.read_bytes()
    at = data.index(b"# Disk DescriptorFile")
    lines = f'# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=2\ncreateType="vmfs"\nparentFileNameHint="{secret}"\n'
    disk.write_bytes(data[:at] + lines.encode().ljust(1024, b"\0") + data[at + 1024 :])
    assert refused(disk, "vmdk")


def test_a_raw_disk_stays_raw_whatever_its_guest_wrote_to_its_start(tmp_path, secret):
    """Format probing is the classic leak: a guest writes a qcow2 header with a backing file to its own disk."""
    run("qemu-img", "create", "-q", "-f", "qcow2", "-b", secret, "-F", "raw", tmp_path / "d", "64M")
    facts = scan_image(tmp_path / "d", "raw", limits=QUICK)
    assert facts.scan.virtual_size_bytes == (tmp_path / "d").stat().st_size
    assert "SECRET" not in facts.model_dump_json()


@pytest.mark.parametrize("image", ["qcow2", "vmdk", "vhdx"])
def test_a_disk_of_60_terabytes_is_refused(tmp_path, image):
    run("qemu-img", "create", "-q", "-f", image, tmp_path / "d", "60T")
    assert refused(tmp_path / "d", image) == "its virtual size of 60.0 TiB is beyond the limit of 16.0 TiB"


def test_a_sparse_raw_disk_beyond_the_limit_is_refused(tmp_path):
    with (tmp_path / "d").open("wb") as file:
        file.truncate(6 << 40)
    with pytest.raises(
        UnreadableImage, match=r"its virtual size of 6\.0 TiB is beyond the limit of 5\.0 TiB"
    ):
        scan_image(tmp_path / "d", "raw", limits=Limits(virtual_tib=5))


def test_links_lead_nowhere_but_into_the_guest(tmp_path, secret):
    facts = scanned(
        tmp_path,
        {
            "etc/hostname": f"-> {secret}",
            "etc/passwd": f"-> ../../../../../../../../..{secret}",
            "etc/machine-id": "-> /etc/../../../../proc/self/environ",
            "opt/host": "-> /",
        },
    )
    assert "SECRET" not in facts.model_dump_json()
    assert (facts.hostname, facts.machine_id, facts.users) == ("", "", ())
    assert len(facts.packages) == 2


def test_an_absolute_link_means_the_guests_own_file(tmp_path):
    facts = scanned(tmp_path, {"etc/hostname": "-> /srv/name", "srv/name": "inside\n"})
    assert facts.hostname == "inside"


def test_links_in_circles_end(tmp_path):
    facts = scanned(
        tmp_path,
        {
            "etc/hostname": "-> hostname",
            "etc/machine-id": "-> a",
            "etc/a": "-> b",
            "etc/b": "-> machine-id",
            "opt/x": "-> ../opt",
            "srv": "-> srv",
            "etc/timezone": "-> " + "a/../" * 100 + "b",
        },
    )
    assert (facts.hostname, facts.machine_id) == ("", "")
    assert len(facts.packages) == 2


def test_a_root_directory_that_is_its_own_link_holds_nothing(tmp_path):
    disk = make_disk(tmp_path / "d", lay_out(tmp_path / "tree", {"etc": "-> etc", "usr": "-> /usr"}))
    assert scan_image(disk, "raw", limits=QUICK).covered("os").state == "none"


def with_files_of(size: int, tmp_path: Path) -> Facts:
    lay_out(tmp_path / "tree", DEBIAN)
    for name in ("var/lib/dpkg/status", "etc/passwd", "etc/hostname"):
        with (tmp_path / "tree" / name).open("r+b") as file:
            file.truncate(size)
    return scan_image(make_disk(tmp_path / "d", tmp_path / "tree"), "raw", limits=QUICK)


def test_a_file_of_a_terabyte_is_read_to_its_limit_only(tmp_path):
    facts = with_files_of(1 << 40, tmp_path)
    assert facts.covered("packages").state == "partial"
    assert "too long" in facts.covered("packages").reason
    assert len(facts.packages) == 2
    assert facts.hostname == "web01"


def test_files_too_damaged_to_be_listed_do_not_hide_their_neighbours(tmp_path):
    """A size beyond what libfsext believes; nobody knows which files were lost, so no area claims to be complete."""
    facts = with_files_of(4 << 40, tmp_path)
    assert facts.os.id == "debian"
    assert [each.text for each in facts.concerns] == ["3 files or directories are too damaged to be listed"]
    assert {each.state for each in facts.coverage} == {"partial", "none"}


def test_names_that_deceive_are_written_out(tmp_path):
    facts = scanned(
        tmp_path,
        {
            "etc/hostname": "web\u202egpj.01\x1b[2J\n",
            "etc/passwd": "ro\u202eot:x:0:0::/ro\x00ot:/bin/sh\nbell\x07:x:1:1::/:/bin/sh\n",
            "opt/two\nlines/x": "",
            "opt/\u202eevil/x": "",
            "srv/" + "n" * 250 + "/x": "",
        },
    )
    assert facts.hostname == "web\\u202egpj.01\\x1b[2J"
    assert [user.name for user in facts.users] == ["ro\\u202eot", "bell\\x07"]
    assert {"/opt/two\\nlines", "/opt/\\u202eevil"} < {each.path for each in facts.extras.directories}
    assert all(ord(letter) >= 32 for letter in facts.model_dump_json())


def test_more_than_the_contract_holds_is_cut_and_said(tmp_path):
    users = "".join(f"u{number}:x:{number}:1::/:/bin/sh\n" for number in range(12_000))
    packages = "".join(f"Package: p{n}\nStatus: install ok installed\nVersion: 1\n\n" for n in range(51_000))
    facts = scanned(tmp_path, {"etc/passwd": users, "var/lib/dpkg/status": packages})
    assert (len(facts.users), len(facts.packages)) == (10_000, 50_000)
    assert facts.covered("users").reason.startswith("the first 10000")
    assert facts.covered("packages").reason == "the first 50000 of 51000 packages"


def rpm_database(path: Path, *statements: str) -> bytes:
    with sqlite3.connect(path) as connection:
        for statement in statements:
            connection.execute(statement)
    return path.read_bytes()


ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"


@pytest.mark.parametrize(
    "statements",
    [
        (f"CREATE VIEW Packages AS {ENDLESS} SELECT i AS hnum, 'x' AS blob FROM n",),
        (
            "CREATE TABLE Packages (hnum INTEGER, blob TEXT AS (printf('%.*c', 50000000, 'x')))",
            "INSERT INTO Packages VALUES (1)",
        ),
        (
            "CREATE TABLE Packages (hnum INTEGER, blob)",
            f"INSERT INTO Packages {ENDLESS} SELECT i, 'x' FROM n LIMIT 100000",
        ),
        ("CREATE TABLE Other (x)",),
    ],
    ids=["endless view", "generated gigabyte", "rows of nonsense", "no table"],
)
def test_a_hostile_rpm_database_lowers_the_coverage(tmp_path, statements):
    database = rpm_database(tmp_path / "db", *statements)
    facts = scanned(tmp_path, {"var/lib/rpm/rpmdb.sqlite": database, "var/lib/dpkg/status": ""})
    assert facts.packages == ()
    assert facts.covered("packages").state == "partial"
    assert facts.os.id == "debian"


def test_a_yaml_bomb_is_not_blown_up(tmp_path):
    layers = ["a0: &a0 [lol,lol,lol,lol,lol,lol,lol,lol,lol]"]
    layers += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30)]
    bomb = "\n".join(
        [*layers, "network: {ethernets: {eth0: {addresses: *a29, dhcp4: *a29, gateway4: *a29}}}"]
    )
    facts = scanned(tmp_path, {"etc/netplan/1.yaml": bomb, "etc/netplan/2.yaml": "[" * 50_000})
    assert [(each.name, each.addresses) for each in facts.nics] == [("eth0", ())]
    assert facts.covered("network").state == "partial"


def test_json_of_a_thousand_levels_is_damage(tmp_path):
    facts = scanned(
        tmp_path,
        {
            "var/lib/docker/containers/a/config.v2.json": "[" * 100_000,
            "var/lib/docker/containers/b/config.v2.json": json.dumps(
                {"Name": "/web", "Config": {"Image": "nginx:1"}}
            ),
        },
    )
    assert [(each.name, each.image) for each in facts.extras.containers] == [("web", "nginx:1")]
    assert facts.covered("extras").state == "partial"


def test_a_partition_table_of_nonsense_is_survived(tmp_path):
    entry = struct.pack("<B3sB3sII", 0x80, b"\0" * 3, 0x83, b"\0" * 3, 0xFFFFFFF0, 0xFFFFFFFF)
    extended = struct.pack("<B3sB3sII", 0, b"\0" * 3, 5, b"\0" * 3, 1, 0xFFFFFFFF)
    (tmp_path / "d").write_bytes(bytes(446) + entry + extended * 3 + b"\x55\xaa" + bytes(MIB))
    facts = scan_image(tmp_path / "d", "raw", limits=QUICK)
    assert facts.covered("os").state == "none"


def test_a_reader_that_takes_too_long_is_stopped(debian):
    with pytest.raises(UnreadableImage, match="reading it was stopped: it took more than 0 s"):
        scan_image(debian, "raw", limits=Limits(wall_s=0))


def test_a_reader_that_wants_too_much_memory_is_stopped(debian):
    with pytest.raises(UnreadableImage):
        scan_image(debian, "raw", limits=Limits(memory_mib=16))
