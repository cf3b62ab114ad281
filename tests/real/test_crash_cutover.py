"""kill -9 of the worker wherever a cutover can stand: it ends well, once, and the source is what it was."""

from migrations_engine import pipeline
from migrations_engine.domain.states import RunState, StepName
from migrations_engine.domain.terms import Commit, Mode
from migrations_engine.models import Cutover, MigratedVM, MigrationRun, StepRun
from migrations_engine.services.receipt import receipt_of
from tests.real import instance
from tests.real.estate import sha256
from tests.real.promises import require_promises

MOMENTS = (
    "Fetching the disks from the hypervisor",
    "Waiting for the source to shut down",
    "Copying the disk",
    "Waiting for the guest to answer",
)


def test_a_cutover_survives_kill_9_and_can_still_be_taken_back(own_instance, running, settings):
    settings.STAGING_DIR = settings.VAR_DIR / "staging"  # where worker processes have theirs
    estate = running()
    options = {"LIBVIRT_SOCKET_FOLDER": str(estate.disk.parent), "LEASE_S": "6"}  # a live one may be slow for 3 s
    killed = []

    def worker_until(condition, what, app="config.celery"):
        worker = instance.worker(app, **options)
        with instance.running(worker):
            instance.wait_until(condition, what, said=worker.said)

    def state() -> str:
        return MigrationRun.objects.get(pk=run.pk).state

    with instance.running(instance.clock(LEASE_S="6")):
        run = pipeline.run_start(**estate.launch(mode=Mode.CUTOVER, commit=Commit.BY_HAND))
        migrate = StepRun.objects.filter(run=run, name=StepName.MIGRATE)
        for message in MOMENTS:
            at = migrate.filter(message__startswith=message).exclude(attempt__in=killed)
            worker_until(at.exists, f"it stands at {message!r}", "tests.real.slow_worker")
            killed.append(migrate.get().attempt)  # it may have gone on by a word before it died
        worker_until(lambda: state() == RunState.CONFIRMING, "it waits to be confirmed")
        row = Cutover.objects.get(run=run)
        assert row.power_before == "on" and row.outage_s > 0
        assert estate.libvirt.state("web01") == "shut off"
        receipt = receipt_of(run)
        assert receipt["source_sha256"] == sha256(estate.disk)
        (script,) = receipt["scripts"]
        assert script["exit_code"] == 0
        assert len(instance.processes_that_name(settings.DISKS_DIR)) == 1  # one machine, and nothing else
        assert MigratedVM.objects.get(run=run).power_state == "on"

        pipeline.run_rollback(run=MigrationRun.objects.get(pk=run.pk), by=estate.by)
        worker_until(lambda: estate.libvirt.state("web01") == "running", "the source runs again")
        worker_until(lambda: state() == RunState.ROLLED_BACK, "it is taken back")
    assert require_promises(MigrationRun.objects.get(pk=run.pk)).steps.get(name=StepName.MIGRATE).attempt == 5
    assert instance.left_behind(settings.DISKS_DIR) == []
    assert not list(settings.STAGING_DIR.glob("*"))
