"""The recommender put to the test: the product's own services on an empty database that nobody keeps.

Each train line arrives as a scanned VM and is answered by a person; then each test line is ranked.
"""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.sqlite3.base import DatabaseWrapper
from pydantic import BaseModel, ConfigDict, Field, model_validator

from analyzer.domain.evaluation import Judged, judge
from analyzer.domain.facts import Facts, Listening, OperatingSystem, Package, ScanInfo, Service
from analyzer.domain.printable import printable
from analyzer.models import Scan, SourceEndpoint, VirtualMachine
from analyzer.models.scan import ScanState
from analyzer.services.learning import model_of, recommender_of, recommender_set
from analyzer.services.recommendations import (
    ranking_of,
    recommendation_accept,
    recommendation_choose_other,
    recommendation_make,
    recommendation_none_fits,
)
from personas.models import Department, Persona
from personas.services.personas import persona_create
from personas.services.rows import free_slug

RPM = frozenset("fedora rhel centos rocky almalinux ol amzn opensuse opensuse-leap sles suse mageia".split())
MANAGERS = {"alpine": "apk", "arch": "pacman", "manjaro": "pacman", "windows": "windows"}


class _Told(BaseModel):
    """Written by other programs: null is not told, a number may stand for a word, what is not known is left."""

    model_config = ConfigDict(extra="ignore", coerce_numbers_to_str=True)

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, told: Any) -> Any:
        if isinstance(told, list):
            return [each for each in told if each is not None]
        if isinstance(told, dict):
            return {key: cls._without_nulls(value) for key, value in told.items() if value is not None}
        return told


class Line(_Told):
    """One VM. `label`: the persona that is right, two of them for two roles, null when none fits."""

    id: str = ""
    label: str | list[str] | None = None
    accept: list[str] = Field(default_factory=list)
    department: str = "evaluation"
    os: dict[str, Any] = Field(default_factory=dict)
    packages: list[str] = Field(default_factory=list)
    manual: list[str] | None = None
    services: list[str] = Field(default_factory=list)
    ports: list[int] = Field(default_factory=list)

    @property
    def labels(self) -> list[str]:
        return self.label if isinstance(self.label, list) else [self.label] if self.label else []


class PersonaLine(_Told):
    name: str
    description: str = ""
    hints: list[str] = Field(default_factory=list)


def facts_of_line(line: Line) -> Facts:
    """What no scan could tell either (port 0, an endless name) is left out or cut."""
    os_id = printable(str(line.os.get("id") or ""))
    manager = "rpm" if os_id in RPM else MANAGERS.get(os_id, "dpkg")
    manual = None if line.manual is None else set(line.manual)
    names = dict.fromkeys([*line.packages, *(line.manual or ())])
    version = printable(str(line.os.get("version") or ""))
    return Facts(
        os=OperatingSystem(id=os_id, version=version),
        packages=tuple(
            Package(
                name=printable(name),
                version="",
                manager=manager,
                manual=None if manual is None else name in manual,
            )
            for name in names
        ),
        services=tuple(Service(name=printable(name), enabled=True) for name in line.services),
        listening=tuple(Listening(port=port, service="unknown") for port in line.ports if 0 < port < 2**16),
        coverage=(),
        scan=ScanInfo(duration_ms=0, image_format="raw", virtual_size_bytes=0, allocated_bytes=0),
    )


def evaluate(
    *, train: Iterable[Line], test: Iterable[Line], personas: Iterable[PersonaLine] = ()
) -> dict[str, Any]:
    """As analyzer.domain.evaluation.judge, with train, seconds_per_vm, seconds_per_answer and the model's card."""
    train, test = list(train), list(test)
    with throwaway_database():
        world = _World(train, test, list(personas))
        began = time.perf_counter()
        for line in train:
            world.answer(line)
        taught = time.perf_counter()
        judged = [world.judged(line) for line in test]
        ended = time.perf_counter()
        card = model_of(recommender_of(world.department(test[0] if test else Line()))).card
    return {
        **judge(judged),
        "train": len(train),
        "seconds_per_answer": round((taught - began) / len(train), 4) if train else None,
        "seconds_per_vm": round((ended - taught) / len(test), 4) if test else None,
        "model": card,
    }


@contextmanager
def throwaway_database() -> Iterator[None]:
    """An empty SQLite database in memory in the place of the default one, as long as the block lasts."""
    tables = _migrated()
    with _in_memory() as connection:
        connection.connection.deserialize(tables)
        yield


@cache
def _migrated() -> bytes:
    """What the schema migrations make of an empty database: they take seconds, a copy does not."""
    with _in_memory() as connection:
        call_command("migrate", verbosity=0, interactive=False)
        return connection.connection.serialize()


@contextmanager
def _in_memory() -> Iterator[DatabaseWrapper]:
    kept = connections[DEFAULT_DB_ALIAS]
    asked = {DEFAULT_DB_ALIAS: {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
    settings = connections.configure_settings(asked)[DEFAULT_DB_ALIAS]
    ours = connections[DEFAULT_DB_ALIAS] = DatabaseWrapper(settings, DEFAULT_DB_ALIAS)
    try:
        ours.ensure_connection()
        yield ours
    finally:
        ours.close()
        connections[DEFAULT_DB_ALIAS] = kept


class _World:
    """An administrator, a department for each that the lines name, the personas, and one source of machines."""

    def __init__(self, train: list[Line], test: list[Line], personas: list[PersonaLine]):
        self.by = get_user_model().objects.create(username="evaluation", is_superuser=True)
        Persona.objects.all().delete()  # what a fresh installation brings is not in the test
        said = {each.name for each in personas}
        labels = dict.fromkeys(label for line in train for label in (*line.labels, *line.accept))
        if not personas and not train:
            labels = dict.fromkeys(label for line in test for label in line.labels)
        rows = [*personas, *(PersonaLine(name=label) for label in labels if label not in said)]
        self.personas = {row.name: self._persona(row) for row in rows}
        self.departments = {}
        for number, name in enumerate(sorted({line.department for line in (*train, *test)}), 1):
            self.departments[name] = Department.objects.create(name=name[:80], slug=f"department-{number}")
        if len(self.departments) > 1:  # the lines are of one company
            for department in self.departments.values():
                recommender_set(department=department, by=self.by, shares=True)
        self.source = SourceEndpoint.objects.create(name="evaluation", location="/nowhere")
        self.count = 0

    def _persona(self, row: PersonaLine) -> Persona:
        slug = free_slug(model=Persona, department=None, name=row.name)
        return persona_create(
            by=self.by, name=row.name, slug=slug, description=row.description, hints=row.hints
        )

    def department(self, line: Line) -> Department | None:
        return self.departments.get(line.department)

    def machine(self, line: Line) -> VirtualMachine:
        self.count += 1
        return VirtualMachine.objects.create(
            source=self.source,
            external_id=str(self.count),
            name=line.id or f"vm{self.count}",
            department=self.department(line),
        )

    def answer(self, line: Line) -> None:
        facts = facts_of_line(line)
        vm = self.machine(line)
        scan = Scan.objects.create(vm=vm, state=ScanState.COMPLETE, facts=facts.model_dump(mode="json"))
        made = recommendation_make(scan=scan, facts=facts)
        if not line.labels:
            recommendation_none_fits(recommendation=made, by=self.by)
            return
        right = self.personas[line.labels[0]]
        if made.persona == right:
            recommendation_accept(recommendation=made, by=self.by)
        else:
            recommendation_choose_other(recommendation=made, persona=right, by=self.by)

    def judged(self, line: Line) -> Judged:
        ranking = ranking_of(vm=self.machine(line), facts=facts_of_line(line))
        best = ranking.best
        return Judged(
            label=line.labels[0] if line.labels else "",
            right=frozenset([*line.labels, *line.accept]) if line.labels else frozenset(),
            ranked=tuple(each.name for each in ranking.ranked),
            answer=best.name if best else "",
            confidence=best.score if best else ranking.no_fit,
            no_fit=ranking.no_fit,
        )
