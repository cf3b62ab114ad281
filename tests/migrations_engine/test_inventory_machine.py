"""A machine known from an inventory file only: planned with a plain word, never started."""

import pytest

from analyzer.models import VirtualMachine
from analyzer.services.inventory import inventory_import
from analyzer.services.sources import source_create
from migrations_engine.models import MigrationRun
from migrations_engine.pipeline import run_start
from migrations_engine.services.plan import plan_make
from personas.errors import Refused
from tests.factories import make_member

pytestmark = pytest.mark.django_db


def test_its_plan_says_that_there_is_no_disk_and_it_does_not_start(estate):
    admin = make_member(estate.department, "admin")
    source = source_create(name="vCenter", kind="inventory", department=estate.department, by=admin)
    data = b"external_id,name,vcpus,memory_mib,disks_gib\n1,web02,1,512,20;40\n"
    inventory_import(source=source, data=data, by=admin)
    vm = VirtualMachine.objects.get(source=source)
    launch = estate.launch(vm=vm)
    plan = plan_make(**launch).document
    assert plan["vm"]["disks"] == []
    (told,) = [each for each in plan["concerns"] if each["id"] == "source.no_disk"]
    assert "Critical" in told.values() and "inventory file" in str(told)
    with pytest.raises(Refused):
        run_start(**launch)
    assert not MigrationRun.objects.exists()
