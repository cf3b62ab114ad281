"""The machines of this computer stop with quickstart, those of runs at work too, and such a run goes on afterwards."""

from datetime import timedelta

import pytest
from django.utils import timezone

from migrations_engine import pipeline
from migrations_engine.domain.states import RunState, StepName, StepState
from migrations_engine.models import MigratedVM, MigrationRun, StepRun
from migrations_engine.services.migrated import machines_pause, machines_resume
from migrations_engine.targets.base import MachineFailed


class Killed(BaseException):
    """The worker dies here: nothing is settled."""


def worker_dies_in(step):
    def hook():
        if StepRun.objects.filter(name=step, state=StepState.RUNNING).exists():
            raise Killed

    return hook


def paused() -> list[str]:
    told = []
    assert machines_pause(told.append) == []
    return told


def powers(world) -> set[str]:
    return {machine.state for machine in world.machines.values()}


@pytest.mark.parametrize("step", [StepName.MIGRATE, StepName.POST_SCRIPT])
def test_machine_of_a_run_at_work_stops_too_and_its_run_goes_on(estate, world, run_all, step):
    world.on["wait_ready"] = worker_dies_in(step)
    with pytest.raises(Killed):
        run_all(pipeline.run_start, **estate.launch())
    assert powers(world) == {"on"}
    assert paused() == ["web01"]
    assert powers(world) == {"off"}
    del world.on["wait_ready"]
    assert machines_resume(print) == []
    long_ago = timezone.now() - timedelta(hours=1)
    StepRun.objects.filter(name=step).update(lease_until=long_ago)
    MigrationRun.objects.update(dispatched_at=long_ago)
    run = run_all(lambda: pipeline.sweep() or MigrationRun.objects.get())
    assert (run.state, run.root_cause) == (RunState.SUCCEEDED, "")
    assert powers(world) == {"on"}


def test_machine_that_people_want_on_comes_back_and_one_that_they_want_off_does_not(estate, world, run_all):
    for vm in (estate.vm, estate.another_vm("web02")):
        run_all(pipeline.run_start, **estate.launch(vm=vm))
    MigratedVM.objects.filter(name="web02").update(wanted_power="off")
    assert sorted(paused()) == ["web01", "web02"]
    assert set(MigratedVM.objects.values_list("power_state", flat=True)) == {"off"}
    told = []
    assert machines_resume(told.append) == []
    assert told == ["web01"]


def test_machine_that_will_not_stop_does_not_keep_the_others_on(estate, world, run_all):
    for vm in (estate.vm, estate.another_vm("web02")):
        run_all(pipeline.run_start, **estate.launch(vm=vm))

    def refuse_once():
        del world.on["power"]
        raise MachineFailed("qemu is stuck")

    world.on["power"] = refuse_once
    told = []
    (refused,) = machines_pause(told.append)
    assert "qemu is stuck" in str(refused)
    assert len(told) == 2
    assert powers(world) == {"on", "off"}
