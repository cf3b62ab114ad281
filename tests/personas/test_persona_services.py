"""Personas and their parts: revisions, refusals, roles, tenancy, races."""

import threading

import pytest
from django.core.exceptions import ValidationError
from django.db import connection

from personas.errors import BadInput, InUse, Missing, NotAllowed, Stale
from personas.models import AuditEntry, DriverSet, NetworkProfile, Persona, ResourceProfile
from personas.services.parts import part_create, part_update
from personas.services.persona_document import persona_export, persona_import
from personas.services.personas import (
    persona_clone,
    persona_create,
    persona_update,
)
from personas.services.revisions import difference
from personas.services.rows import row_archive, row_delete, row_restore, used_by, version_of
from personas.services.scripts import script_create, script_update
from tests.factories import make_department, make_member, make_persona

pytestmark = pytest.mark.django_db


@pytest.fixture
def sales():
    return make_department("Sales")


@pytest.fixture
def alice(sales):
    return make_member(sales, "admin", "alice")


@pytest.fixture
def charlie():
    return make_member(make_department("Strangers"), "admin", "charlie")


def profile(by, department, **columns):
    columns = {"name": "Big", "vcpus": 8} | columns
    return part_create(model=ResourceProfile, by=by, department=department, **columns)


def test_a_persona_gets_a_slug_a_revision_and_an_audit_row(alice, sales):
    persona = persona_create(by=alice, department=sales, name="Web Dev", packages=["nginx"])
    assert persona.slug == "web-dev"
    assert [(r.number, r.document["packages"]) for r in persona.revisions.all()] == [(1, ["nginx"])]
    entry = AuditEntry.objects.get(action="persona.create")
    assert (entry.actor, entry.department, entry.object_id) == (alice, sales, str(persona.pk))
    assert entry.after["packages"] == ["nginx"]


def test_each_change_of_the_document_is_one_revision_and_nothing_else_is(alice, sales):
    persona = persona_create(by=alice, department=sales, name="Web")
    persona_update(persona=persona, by=alice, packages=["nginx"])
    persona_update(persona=persona, by=alice, packages=["nginx"])
    persona_update(persona=persona, by=alice, description="the same settings")
    assert [r.number for r in persona.revisions.all()] == [2, 1]
    updates = AuditEntry.objects.filter(action="persona.update").order_by("at")
    assert [(e.before, e.after) for e in updates] == [
        ({"packages": []}, {"packages": ["nginx"]}),
        ({"description": ""}, {"description": "the same settings"}),
    ]


def test_a_changed_profile_is_a_new_revision_of_the_personas_that_use_it(alice, sales):
    big = profile(alice, sales)
    persona = persona_create(by=alice, department=sales, name="Web", resource_allocation_profile=big)
    part_update(part=big, by=alice, vcpus=16)
    newest, first = persona.revisions.all()
    assert difference(first.document, newest.document) == [
        {"path": "resources.vcpus", "before": 8, "after": 16}
    ]


def test_a_viewer_and_a_stranger_change_nothing(alice, sales, charlie):
    persona = persona_create(by=alice, department=sales, name="Web")
    for user in (make_member(sales, "viewer"), make_member(sales, "operator"), charlie):
        with pytest.raises(NotAllowed):
            persona_create(by=user, department=sales, name="Mine")
        with pytest.raises(NotAllowed):
            persona_update(persona=persona, by=user, name="Mine")
        with pytest.raises(NotAllowed):
            row_delete(row=persona, by=user)
    assert list(Persona.objects.values_list("name", flat=True)) == ["Web"]


def test_what_belongs_to_the_organisation_is_a_superusers_to_change(alice):
    with pytest.raises(NotAllowed, match="only a superuser"):
        persona_create(by=alice, department=None, name="For all")


def test_a_persona_can_not_point_into_another_department(alice, sales, charlie):
    theirs = part_create(
        model=DriverSet,
        by=charlie,
        department=charlie.departments.get(),
        name="Theirs",
        drivers=[{"name": "a"}],
    )
    with pytest.raises(ValidationError) as caught:
        persona_create(by=alice, department=sales, name="Web", default_driver_set=theirs)
    assert list(caught.value.message_dict) == ["default_driver_set"]


def test_a_persona_can_not_be_moved_to_another_department(alice, sales):
    other = make_department()
    other.memberships.create(user=alice, role="admin")
    persona = persona_create(by=alice, department=sales, name="Web")
    with pytest.raises(BadInput, match="clone it"):
        persona_update(persona=persona, by=alice, department=other)


def test_every_wrong_value_is_told_beside_its_column(alice, sales):
    with pytest.raises(ValidationError) as caught:
        persona_create(
            by=alice,
            department=sales,
            name="Web",
            packages=["fine", "not fine"],
            default_kernel_version="newest",
            monitoring_tags={"": "x"},
            acceptance_checks=[{"kind": "tcp", "port": 0}],
            list_modes={"packages": "sometimes"},
        )
    told = caught.value.message_dict
    wrong = {"packages", "default_kernel_version", "monitoring_tags", "acceptance_checks", "list_modes"}
    assert set(told) == wrong
    assert told["packages"][0].startswith("item 2: ")
    assert told["acceptance_checks"][0].startswith("item 1, port: ")


def test_a_setting_that_does_not_exist_can_not_be_unset(alice, sales):
    with pytest.raises(ValidationError, match="is no setting"):
        persona_create(by=alice, department=sales, name="Web", unset=["resources.gpus"])


def test_two_personas_of_a_department_have_different_slugs(alice, sales):
    persona_create(by=alice, department=sales, name="Web")
    with pytest.raises(ValidationError, match="has the slug web already"):
        persona_create(by=alice, department=sales, name="web")


def test_a_part_may_not_take_the_slug_of_the_organisations(alice, sales, django_user_model):
    root = django_user_model.objects.create(username="root", is_superuser=True)
    profile(root, None, name="Standard")
    with pytest.raises(ValidationError, match="in the organisation has the slug standard"):
        profile(alice, sales, name="Standard")


def test_what_is_in_use_is_not_deleted_and_its_users_are_listed(alice, sales):
    big = profile(alice, sales)
    persona = persona_create(by=alice, department=sales, name="Web", resource_allocation_profile=big)
    with pytest.raises(InUse) as caught:
        row_delete(row=big, by=alice)
    assert [(u["type"], u["id"], u["name"]) for u in caught.value.extra["used_by"]] == [
        ("persona", str(persona.pk), "Web")
    ]
    row_delete(row=persona, by=alice)
    row_delete(row=big, by=alice)
    assert not ResourceProfile.objects.filter(pk=big.pk).exists()


def test_script_that_a_persona_or_a_template_names_further_down_is_in_use(alice, sales):
    from templates_app.models import MigrationTemplate

    tune, other = (script_create(by=alice, department=sales, name=name, body="true") for name in ("Tune", "Tune 2"))
    named = {"script_entries": [{"name": "tune", "order": 5}]}
    persona = persona_create(by=alice, department=sales, name="Web", post_migration_script=tune, **named)
    persona_create(by=alice, department=sales, name="Db", script_entries=[{"name": "tune"}])
    MigrationTemplate.objects.create(name="Debian", slug="debian", department=sales, **named)
    make_persona("Theirs", department=make_department("Strangers"), script_entries=[{"name": "tune"}])  # not this one
    with pytest.raises(InUse) as caught:
        row_delete(row=tune, by=alice)
    assert sorted(user["name"] for user in caught.value.extra["used_by"]) == ["Db", "Debian", "Web"]
    assert str(persona.pk) in {user["id"] for user in caught.value.extra["used_by"]}
    row_delete(row=other, by=alice)


def test_users_of_other_departments_are_counted_but_not_named(alice, charlie, django_user_model):
    root = django_user_model.objects.create(username="root", is_superuser=True)
    shared = profile(root, None)
    make_persona("Secret", department=charlie.departments.get(), resource_allocation_profile=shared)
    assert used_by(shared, by=alice) == ([], 1)
    assert [u["name"] for u in used_by(shared, by=root)[0]] == ["Secret"]


def test_a_persona_that_a_template_carries_is_in_use_though_the_template_lives_above(alice, sales):
    from templates_app.models import MigrationTemplate

    persona = persona_create(by=alice, department=sales, name="Web")
    MigrationTemplate.objects.create(name="Debian", slug="debian", department=sales, persona=persona)
    with pytest.raises(InUse, match="Debian"):
        row_delete(row=persona, by=alice)


def test_a_stale_change_is_refused_and_nothing_is_lost(alice, sales):
    persona = persona_create(by=alice, department=sales, name="Web")
    seen = version_of(Persona.objects.get(pk=persona.pk))
    persona_update(persona=persona, by=alice, description="first", expected=seen)
    with pytest.raises(Stale):
        persona_update(persona=persona, by=alice, description="second", expected=seen)
    persona.refresh_from_db()
    assert persona.description == "first"


def test_a_deleted_persona_is_missing(alice, sales):
    persona = persona_create(by=alice, department=sales, name="Web")
    row_delete(row=Persona.objects.get(pk=persona.pk), by=alice)
    with pytest.raises(Missing):
        persona_update(persona=persona, by=alice, name="Web 2")


@pytest.mark.django_db(transaction=True)
def test_of_two_changes_at_once_one_is_stale(alice, sales):
    persona = persona_create(by=alice, department=sales, name="Web")
    seen, outcomes, together = version_of(Persona.objects.get(pk=persona.pk)), [], threading.Barrier(2)

    def change(text):
        together.wait()
        try:
            persona_update(persona=persona, by=alice, description=text, expected=seen)
            outcomes.append("done")
        except Stale:
            outcomes.append("stale")
        finally:
            connection.close()

    threads = [threading.Thread(target=change, args=(text,)) for text in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["done", "stale"]


def test_archived_is_not_active_until_restored(alice, sales):
    persona = persona_create(by=alice, department=sales, name="Web")
    row_archive(row=persona, by=alice)
    assert not Persona.objects.active().exists()
    row_restore(row=persona, by=alice)
    assert Persona.objects.active().get() == persona
    actions = set(AuditEntry.objects.values_list("action", flat=True))
    assert {"persona.archive", "persona.restore"} < actions


def test_a_clone_has_its_own_name_and_the_same_settings(alice, sales):
    persona = persona_create(by=alice, department=sales, name="Web", packages=["nginx"])
    first, second = (persona_clone(persona=persona, by=alice, department=sales) for _ in range(2))
    assert (first.name, first.slug, second.slug) == ("Web (copy)", "web-copy", "web-copy-2")
    assert first.document() == persona.document()
    assert first.revision == 1


def test_a_clone_into_a_department_that_lacks_a_part_says_which(alice, sales):
    other = make_department()
    other.memberships.create(user=alice, role="admin")
    persona = persona_create(
        by=alice, department=sales, name="Web", resource_allocation_profile=profile(alice, sales)
    )
    with pytest.raises(ValidationError) as caught:
        persona_clone(persona=persona, by=alice, department=other)
    assert list(caught.value.message_dict) == ["resource_allocation_profile"]


DOCUMENT = {
    "schema_version": 1,
    "kernel": {"version": ">=6.1", "intent": "prefer"},
    "distribution": {"name": "debian", "version": "12"},
    "packages": ["nginx"],
    "resources": {"vcpus": 2, "memory_mib": None},
    "storage": None,
    "network": {"bandwidth_mbps": 100},
    "post_migration": {"scripts": [{"name": "tune"}], "must_pass": False},
    "monitoring_tags": {"role": "web", "owner": None},
    "acceptance_checks": [{"kind": "http", "port": 80, "path": "/", "status": 200}],
    "list_modes": {"packages": "replace"},
}


def test_a_document_that_comes_in_goes_out_the_same(alice, sales):
    script_create(by=alice, department=sales, name="Tune", body="exit 0\n")
    persona = persona_import(data={"name": "Web", "settings": DOCUMENT}, by=alice, department=sales)
    exported = persona_export(persona)
    assert exported["settings"] == DOCUMENT
    twin = persona_import(data={**exported, "slug": "twin"}, by=alice, department=sales)
    assert twin.document() == DOCUMENT
    assert twin.resource_allocation_profile == persona.resource_allocation_profile
    assert NetworkProfile.objects.count() == 1


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"driver_set": "unheard-of"}, "settings.driver_set"),
        ({"post_migration": {"scripts": [{"name": "nowhere"}]}}, "settings.post_migration.scripts"),
        ({"network": {"security_groups": ["unknown"]}}, "settings.network.security_groups"),
        ({"devices": {"disk": "ide-hd"}}, "settings.devices"),
        ({"locks": ["machine"]}, "settings.locks"),
        ({"resources": {"vcpus": "many"}}, "settings.resources.vcpus"),
        ({"coffee": True}, "settings.coffee"),
    ],
)
def test_a_document_that_can_not_come_in_names_the_field(alice, sales, settings, field):
    with pytest.raises(BadInput) as caught:
        persona_import(data={"name": "Web", "settings": settings}, by=alice, department=sales)
    assert list(caught.value.errors) == [field]
    assert not Persona.objects.exists()


def test_an_import_does_not_reach_into_another_department(alice, sales, charlie):
    theirs = charlie.departments.get()
    part_create(model=DriverSet, by=charlie, department=theirs, name="Theirs", drivers=[{"name": "a"}])
    with pytest.raises(BadInput, match="no driver set 'theirs' here"):
        persona_import(data={"name": "Web", "settings": {"driver_set": "theirs"}}, by=alice, department=sales)


def test_a_new_text_is_a_new_revision_of_the_script_and_the_old_one_stays(alice, sales):
    script = script_create(by=alice, department=sales, name="Tune", body="echo 1\r\n")
    script_update(script=script, by=alice, body="echo 2\n")
    script_update(script=script, by=alice, body="echo 2\n", description="the same text")
    assert [(r.number, r.body) for r in script.revisions.all()] == [(2, "echo 2\n"), (1, "echo 1\n")]


def test_a_script_without_text_is_refused(alice, sales):
    with pytest.raises(BadInput, match="body"):
        script_create(by=alice, department=sales, name="Tune", body=" \n")
