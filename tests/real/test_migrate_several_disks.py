"""A guest with a data disk in its fstab: found as one machine, moved with both disks, its file read in the new one."""

import json
import re
import shutil
from io import StringIO
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command

from analyzer.models import VirtualMachine
from analyzer.services.discovery import source_discover
from migrations_engine.models import MigratedVM
from migrations_engine.services.migrated import migrated_vm_remove
from personas.domain.catalogue import catalogue
from tests import factories
from tests.disks import MIB, converted, lay_out, make_filesystem, make_ova, run
from tests.real.estate import sha256

ROOT_AT = 2 * MIB  # as config.quickstart.guests.disk lays it out
DATA_UUID = "7b1f0c7e-0000-4000-8000-00000000000d"
SCRIPT = "cat /data/hello; ls /dev/disk/by-id 2>/dev/null; grep ' /data ' /proc/mounts | cut -d' ' -f1"


@pytest.fixture(scope="module")
def disks(tiny, tmp_path_factory) -> list[Path]:
    """The tiny guest with one more row in its fstab, and the disk that it names as no machine with virtio calls it."""
    folder = tmp_path_factory.mktemp("disks")
    root, data = folder / "root.raw", folder / "data.raw"
    shutil.copyfile(tiny.path, root)
    inside = f"{root}?offset={ROOT_AT}"
    rows = run("debugfs", "-R", "cat /etc/fstab", inside) + "/dev/sdb /data ext4 defaults 0 2\n"
    (folder / "fstab").write_text(rows)
    for request in ("rm /etc/fstab", f"write {folder}/fstab /etc/fstab", "mkdir /data"):
        run("debugfs", "-w", "-R", request, inside)
    with data.open("wb") as file:
        file.truncate(64 * MIB)
    tree = lay_out(folder / "tree", {"hello": "from the second disk\n"})
    make_filesystem(data, tree, "ext4", 0, 64 * MIB, "-L", "data", "-U", DATA_UUID)
    return [root, data]


def as_ova(disks: list[Path], folder: Path) -> list[Path]:
    packed = [
        converted(each, "vmdk", folder / f"{each.stem}.vmdk", subformat="streamOptimized") for each in disks
    ]
    ova = make_ova(folder / "db-01.ova", packed)
    for each in packed:
        each.unlink()
    return [ova]


def as_folder(disks: list[Path], folder: Path) -> list[Path]:
    (folder / "db-01").mkdir()
    first = converted(disks[0], "qcow2", folder / "db-01/disk0.qcow2")
    shutil.copyfile(disks[1], folder / "db-01/disk1.raw")
    return [first, folder / "db-01/disk1.raw"]


@pytest.mark.django_db
@pytest.mark.once
@pytest.mark.parametrize(
    ("laid_out", "driver_set", "data_disk"), [(as_ova, "virtio-scsi", "sd[ab]"), (as_folder, "virtio", "vdb")]
)
def test_machine_with_a_data_disk_is_moved_with_all_it_has(disks, laid_out, driver_set, data_disk, own_machines):
    folder = settings.IMAGE_ROOTS[0] / laid_out.__name__
    folder.mkdir(parents=True)
    files = laid_out(disks, folder)
    before = [sha256(each) for each in files]
    member = factories.make_member(role="admin")
    department = member.memberships.get().department
    source_discover(source=factories.make_source(department, location=str(folder)), by=member)
    vm = VirtualMachine.objects.get(name="db-01")
    receipt = migrated(vm, member, department, driver_set)
    assert receipt["state"] == "succeeded", receipt["root_cause"]
    assert [each["sha256"] for each in receipt["sources"]] == before == [sha256(each) for each in files]
    rows = {row["setting"]: (row["found"], row["verdict"]) for row in receipt["verification"]}
    (found, verdict), (mounted, is_mounted) = rows["disks.1"], rows["mount /data"]
    assert (verdict, is_mounted) == ("pass", "pass")
    assert re.fullmatch(data_disk, mounted.removeprefix("/dev/"))  # sd: the kernel numbers them as they answer
    assert found == f"{mounted.removeprefix('/dev/')}, 64 MiB"
    machine = MigratedVM.objects.get(pk=receipt["migrated_vm"])
    (script,) = machine.run.steps.get(name="post_script").result["scripts"]
    assert script["stdout"].splitlines() == ["from the second disk", mounted]
    made = machine.run.resources.filter(kind="disk").values_list("reference", "state")
    assert set(made) == {(str(machine.run.pk), "created"), (f"{machine.run.pk}/disk1", "created")}
    migrated_vm_remove(migrated_vm=machine, by=member)
    assert not (settings.DISKS_DIR / str(machine.run.pk)).exists()


def migrated(vm, member, department, driver_set: str) -> dict:
    """By a persona with a driver set of the starter catalogue."""
    factories.make_target()
    script = factories.make_script("read-back", body=SCRIPT, interpreter="sh")
    drivers = factories.make_driver_set(driver_set, drivers=catalogue().drivers_by_set()[driver_set])
    persona = factories.make_persona(
        department=department, post_migration_script=script, default_driver_set=drivers
    )
    out = StringIO()
    call_command(
        "migrate_vm",
        vm=str(vm.pk),
        template=str(factories.make_template(department=department).pk),
        persona=[str(persona.pk)],
        user=member.username,
        inline=True,
        json=True,
        stdout=out,
    )
    return json.loads(out.getvalue())
