"""A write and its audit row are one transaction: where the row can not be written, nothing is, and nothing is sent."""

import pytest
from django.apps import apps

from migrations_engine.pipeline import run_cancel, run_start
from personas.models import AuditEntry
from personas.services.departments import membership_remove, membership_set
from personas.services.personas import persona_create, persona_update
from personas.services.rows import row_delete
from tests.factories import make_member, make_persona, make_user

APPS = ("personas", "templates_app", "analyzer", "migrations_engine", "marketplace")


class TrailIsFull(Exception):
    pass


@pytest.fixture
def people(estate):
    """The estate's admin and operator, and Lea, who is no member yet."""
    make_user("lea")
    return {"admin": make_member(estate.department, "admin"), "operator": estate.operator}


def new_persona(estate, admin, **_):
    return persona_create, {
        "department": estate.department,
        "name": "New",
        "packages": ["nginx"],
        "by": admin,
    }


def changed_persona(estate, admin, **_):
    return persona_update, {"persona": estate.persona, "packages": ["nginx"], "by": admin}


def deleted_persona(estate, admin, **_):
    return row_delete, {"row": make_persona(department=estate.department), "by": admin}


def new_run(estate, **_):
    return run_start, estate.launch()


def cancelled_run(estate, operator, **_):
    return run_cancel, {"run": run_start(**estate.launch()), "by": operator}


def new_member(estate, admin, **_):
    return membership_set, {"department": estate.department, "username": "lea", "role": "viewer", "by": admin}


def changed_member(estate, admin, operator, **_):
    return membership_set, {
        "department": estate.department,
        "username": operator.username,
        "role": "viewer",
        "by": admin,
    }


def removed_member(estate, admin, operator, **_):
    return membership_remove, {"department": estate.department, "user_id": operator.pk, "by": admin}


WRITES = [
    new_persona,
    changed_persona,
    deleted_persona,
    new_run,
    cancelled_run,
    new_member,
    changed_member,
    removed_member,
]


@pytest.mark.parametrize("write", WRITES)
def test_what_can_not_be_audited_leaves_nothing_behind(
    write, estate, people, monkeypatch, django_capture_on_commit_callbacks
):
    service, arguments = write(estate, **people)
    before = everything()

    def full(**columns):
        raise TrailIsFull

    with (
        monkeypatch.context() as patch,
        django_capture_on_commit_callbacks() as sent,
        pytest.raises(TrailIsFull),
    ):
        patch.setattr(AuditEntry.objects, "create", full)
        service(**arguments)
    assert everything() == before
    assert sent == []
    service(**arguments)
    assert everything() != before


def everything() -> dict:
    """Every row of every table of ours."""
    models = [model for label in APPS for model in apps.get_app_config(label).get_models()]
    return {model: list(model._base_manager.order_by("pk").values()) for model in models}
