"""What the engine costs beside the work of its steps: empty runs beside bare Celery chains, on the same two servers."""

import os
import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests import servers
from tests.bench.frame import Benchmark, Figure, Side, race

WORKER = "tests.bench.empty_worker"
RUNS, WANTED_RATIO = 2000, 0.7
LONE_RUNS, WANTED_S = 60, 0.15
WARM_UP = 20  # chains that each process of the worker takes part in before the clock runs
POLL_S = 0.05
LOOKS = 5  # a message is for a moment in neither place: between its leaving the queue and its being counted as taken


def measure(scratch: Path, rounds: int) -> Iterator[Figure]:
    with servers.postgresql() as database, servers.redis() as broker, the_product_on(database.url, broker.url):
        plan, queue = made_run(), Queue(broker.url)
        yield alone(plan, queue)
        yield drained(plan, queue, rounds)


@contextmanager
def the_product_on(database_url: str, broker_url: str) -> Iterator[None]:
    """This process and the workers that it starts use these servers, as a deployment does."""
    from config.celery import app
    from tests.real.test_crash_servers import database

    os.environ |= {"DATABASE_URL": database_url, "CELERY_BROKER_URL": broker_url}
    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
    app.conf.update(broker_url=broker_url, broker_read_url=broker_url, broker_write_url=broker_url)
    with database(database_url):
        yield


def made_run() -> dict:
    """The columns of a run as a launch writes them."""
    from migrations_engine.services.plan import plan_make
    from migrations_engine.targets import registry
    from tests.migrations_engine.estate import make_estate
    from tests.migrations_engine.fake_target import FakeTarget

    registry.TARGETS["qemu"] = FakeTarget
    estate = make_estate()
    plan = plan_make(**estate.launch())
    return {
        "department": estate.department, "vm": estate.vm, "template": estate.template, "persona": estate.persona,
        "target": estate.target, "created_by": estate.operator, "plan": plan.document, "plan_sha256": plan.sha256,
    }  # fmt: skip


def queued(columns: dict, count: int) -> list:
    """Ids of so many new runs, none of them sent."""
    from migrations_engine.domain.states import STEPS
    from migrations_engine.models import MigrationRun, StepRun

    runs = MigrationRun.objects.bulk_create(MigrationRun(**columns) for _ in range(count))
    StepRun.objects.bulk_create(
        StepRun(run=run, name=name, order=order) for run in runs for order, name in enumerate(STEPS)
    )
    return [run.pk for run in runs]


def alone(columns: dict, queue: "Queue") -> Figure:
    """One run after the other, from the launch's message to the end: nothing waits for anything but the engine."""
    from migrations_engine import pipeline
    from migrations_engine.models import MigrationRun
    from tests.real import instance

    took, worker = [], instance.worker(WORKER)
    with instance.running(worker):
        for run_id in queued(columns, LONE_RUNS + 1):
            pipeline.start(run_id)
            ended = MigrationRun.objects.filter(pk=run_id, finished_at__isnull=False)
            instance.wait_until(ended.exists, "it ends", said=worker.said)
            run = MigrationRun.objects.get(pk=run_id)
            took.append((run.finished_at - run.dispatched_at).total_seconds())
        queue.wait_empty(worker)  # what a killed worker has in hand would count as unfinished for hours
    seconds = took[1:]  # the first one waited for the worker to start
    value = statistics.median(seconds)
    return Figure("one run of four empty steps", value, "s", at_most=WANTED_S, seconds={"engine": seconds})


class Queue:
    """The messages wait aside while a worker starts and warms up; then all of them are there at once."""

    def __init__(self, url: str):
        import redis

        self.redis, self.worker = redis.Redis.from_url(url), None

    def fill(self, send: Callable[[], None]) -> None:
        from tests.real import instance

        self.stop()
        send()
        self.redis.rename("celery", "aside")
        self.worker = instance.worker(WORKER)
        send_chains(WARM_UP)
        self.wait_empty(self.worker)

    def drain(self) -> None:
        self.redis.rename("aside", "celery")
        self.wait_empty(self.worker)

    def wait_empty(self, worker) -> None:
        from tests.real import instance

        looks = [False] * LOOKS

        def is_empty() -> bool:
            looks.append(self._looks_empty())
            return all(looks[-LOOKS:])

        instance.wait_until(is_empty, "the queue is empty", said=worker.said, pause_s=POLL_S)

    def _looks_empty(self) -> bool:
        return not self.redis.llen("celery") and not self.redis.hlen("unacked")

    def stop(self) -> None:
        if self.worker:
            self.worker.kill()
        self.worker = None


def drained(columns: dict, queue: Queue, rounds: int) -> Figure:
    engine = Side("engine", queue.drain, lambda: queue.fill(lambda: send_runs(columns)))
    bare = Side("bare chains", queue.drain, lambda: queue.fill(lambda: send_chains(RUNS)))
    try:
        return race(f"drain {RUNS} runs of four steps", engine, bare, rounds=rounds, at_least=WANTED_RATIO)
    finally:
        queue.stop()
        require_all_succeeded()


def send_runs(columns: dict) -> None:
    from migrations_engine import pipeline

    require_all_succeeded()
    for run_id in queued(columns, RUNS):
        pipeline.start(run_id)


def send_chains(count: int) -> None:
    from celery import chain

    from tests.bench.empty_worker import BARE

    for number in range(count):
        chain(*(task.si(str(number)) for task in BARE)).apply_async()


def require_all_succeeded() -> None:
    """A drained queue whose runs did not end would be a fast nothing."""
    from migrations_engine.domain.states import RunState
    from migrations_engine.models import MigrationRun

    assert not MigrationRun.objects.exclude(state=RunState.SUCCEEDED).exists()


BENCHMARK = Benchmark(
    "engine-overhead", "What does a run cost beside the work of its steps?", measure, rounds=3, packages=("test",)
)
