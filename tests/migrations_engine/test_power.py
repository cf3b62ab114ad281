"""A machine is switched by a worker: asked for at once, done once, also when a worker dies or a message is lost."""

from datetime import timedelta

import pytest
from django.utils import timezone

from migrations_engine import pipeline
from migrations_engine.models import MigratedVM
from migrations_engine.models.migrated import SWITCHING
from migrations_engine.services.power import migrated_vm_power, overdue, power_switch
from migrations_engine.targets.base import MachineFailed
from personas.models import AuditEntry


@pytest.fixture
def machine(estate, run_all):
    return run_all(pipeline.run_start, **estate.launch()).migrated_vm


def asked(machine, estate, want="off") -> MigratedVM:
    return migrated_vm_power(migrated_vm=machine, want=want, by=estate.operator)


def switched(machine) -> MigratedVM:
    power_switch(migrated_vm_id=machine.pk)
    machine.refresh_from_db()
    return machine


def powered(world) -> list[str]:
    return [call[1] for call in world.calls if call[0] == "power"]


def test_what_is_asked_for_is_seen_at_once_and_done_by_a_worker(machine, estate, run_all, world):
    assert asked(machine, estate).shown_power == "stopping"
    assert world.machines[str(machine.run_id)].state == "on"
    assert (
        run_all(pipeline.migrated_vm_power, migrated_vm=machine, want="off", by=estate.operator).shown_power
        == "off"
    )
    actions = AuditEntry.objects.filter(object_id=str(machine.pk)).values_list("action", flat=True)
    assert {"migrated_vm.power_off", "migrated_vm.switched"} <= set(actions)


def test_second_worker_finds_nothing_to_do(machine, estate, world):
    asked(machine, estate)
    switched(machine)
    before = len(powered(world))
    assert switched(machine).power_state == "off"
    assert len(powered(world)) == before


def test_why_it_could_not_be_switched_is_kept_until_the_next_time(machine, estate, world):
    def refuse():
        raise MachineFailed("qemu is stuck")

    world.on["power"] = refuse
    asked(machine, estate)
    failed = switched(machine)
    assert (failed.shown_power, failed.power_error) == ("on", "qemu is stuck")
    assert asked(machine, estate).power_error == ""


def test_changed_mind_wins_while_a_worker_is_at_it(machine, estate, world):
    def change_mind():
        del world.on["power"]
        asked(MigratedVM.objects.get(pk=machine.pk), estate, "on")

    world.on["power"] = change_mind
    asked(machine, estate, "off")
    assert switched(machine).shown_power == "on"
    assert powered(world)[-2:] == ["off", "on"]


def test_worker_that_died_is_replaced_and_one_that_works_is_not(machine, estate):
    asked(machine, estate)
    now = timezone.now()
    row = MigratedVM.objects.filter(pk=machine.pk)
    row.update(power_claimed_at=now)
    assert switched(machine).is_switching
    row.update(power_claimed_at=now - SWITCHING - timedelta(seconds=1))
    assert switched(machine).power_state == "off"


def test_lost_message_is_sent_again_by_one_sweeper(machine, estate):
    asked(machine, estate)
    later = timezone.now() + SWITCHING + timedelta(seconds=1)
    assert overdue(timezone.now()) == []
    assert overdue(later) == [machine.pk]
    assert overdue(later) == []


def test_sweeper_switches_what_is_overdue(machine, estate, run_all):
    asked(machine, estate)
    MigratedVM.objects.filter(pk=machine.pk).update(power_asked_at=timezone.now() - 2 * SWITCHING)
    pipeline.sweep()
    machine.refresh_from_db()
    assert machine.shown_power == "off"
