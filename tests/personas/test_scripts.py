"""What a script asks for, what it is given, and secrets that nobody reads again."""

import pytest
from django.core.exceptions import ValidationError

from personas.domain.scripts import BadParameters, entry_words, environment, in_run_order, parse_parameters
from personas.domain.settings import InvalidSettings, validate_document
from personas.errors import BadInput, NotAllowed, Refused
from personas.models import AuditEntry, Secret
from personas.services.persona_document import persona_export, persona_import
from personas.services.scripts import script_create, script_update
from personas.services.secrets import secret_create, secret_update, secret_values
from tests import factories

CANARY = "c4n4ry-Zq9x"
DECLARED = [
    {"name": "PORT", "kind": "integer", "default": 5432},
    {"name": "TIER", "kind": "choice", "choices": ["small", "large"]},
    {"name": "DEBUG", "kind": "boolean", "required": False},
]


def test_given_values_and_defaults_become_text():
    parameters = parse_parameters(DECLARED)
    assert environment(parameters, {"TIER": "large", "DEBUG": True}) == {
        "PORT": "5432",
        "TIER": "large",
        "DEBUG": "true",
    }


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "TIER is not given"),
        ({"TIER": "huge"}, "one of small, large"),
        ({"TIER": "small", "PORT": "5432"}, "whole number"),
        ({"TIER": "small", "PORT": True}, "whole number"),
        ({"TIER": "small", "DEBUG": "yes"}, "true or false"),
        ({"TIER": "small", "COLOUR": "red"}, "no parameter COLOUR"),
    ],
)
def test_wrong_value_is_named(given, told):
    with pytest.raises(BadParameters, match=told):
        environment(parse_parameters(DECLARED), given)


@pytest.mark.parametrize(
    ("declared", "told"),
    [
        ([{"name": "port"}], "Parameter 1, name"),
        ([{"name": "LD_PRELOAD"}], "guest's own environment"),
        ([{"name": "A", "kind": "choice"}], "at least one"),
        ([{"name": "A", "kind": "integer", "default": "x"}], "the default must be a whole number"),
        ([{"name": "A"}, {"name": "A"}], "declared twice"),
        ("PORT", "The parameters"),
    ],
)
def test_wrong_declaration_is_named(declared, told):
    with pytest.raises(BadParameters, match=told):
        parse_parameters(declared)


def test_scripts_come_by_phase_then_order_then_place():
    entries = [
        {"name": "last", "phase": "after_checks"},
        {"name": "usual"},
        {"name": "early", "order": 1},
        {"name": "first", "phase": "first_boot"},
        {"name": "usual-too"},
    ]
    assert [e["name"] for e in in_run_order(entries)] == ["first", "early", "usual", "usual-too", "last"]


def test_variable_is_a_parameter_or_a_secret_and_never_both():
    entry = {"name": "tune", "parameters": {"A": 1}, "secrets": {"A": "db"}}
    with pytest.raises(InvalidSettings, match="both a parameter and a secret"):
        validate_document({"post_migration": {"scripts": [entry]}})


def test_entry_in_words():
    entry = {"name": "tune", "phase": "after_checks", "os": ["debian"], "parameters": {"ON": True}}
    assert (
        entry_words(entry | {"secrets": {"PW": "db"}}) == "tune (after_checks, debian, ON=true, PW from db)"
    )
    assert entry_words({"name": "tune"}) == "tune"


# --- rows ------------------------------------------------------------------------------------------------------------


def test_other_parameters_are_another_revision(db):
    admin = factories.make_member()
    department = admin.departments.get()
    script = script_create(by=admin, department=department, name="Tune", body="exit 0", parameters=DECLARED)
    script_update(script=script, by=admin, parameters=DECLARED)
    assert script.latest.number == 1
    script_update(script=script, by=admin, parameters=DECLARED[:1])
    assert (script.latest.number, script.latest.parameters) == (2, DECLARED[:1])
    with pytest.raises(ValidationError, match="declared twice"):
        script_update(script=script, by=admin, parameters=[{"name": "A"}, {"name": "A"}])


def test_entries_survive_export_and_import(db):
    admin = factories.make_member()
    department = admin.departments.get()
    factories.make_script("tune", department=department)
    factories.make_script("report", department=department)
    entries = [{"name": "report", "phase": "after_checks", "secrets": {"TOKEN": "report-token"}}]
    scripts = {"post_migration": {"scripts": [{"name": "tune"}, *entries]}}
    told = {"name": "DBA", "settings": {"schema_version": 1, **scripts}}
    persona = persona_import(data=told, by=admin, department=department)
    assert persona.post_migration_script.slug == "tune"
    assert persona.script_entries == entries
    assert persona_export(persona)["settings"] == told["settings"]


def test_wrong_entry_is_told_at_its_place(db):
    persona = factories.make_persona()
    persona.script_entries = [{"name": "tune", "phase": "never"}]
    with pytest.raises(ValidationError) as caught:
        persona.full_clean()
    assert caught.value.message_dict["script_entries"][0].startswith("item 1, phase:")
    persona.script_entries = [{"name": "nowhere"}]
    with pytest.raises(ValidationError) as caught:
        persona.full_clean()
    assert "no script 'nowhere'" in caught.value.message_dict["script_entries"][0]


# --- secrets ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def admin(db):
    return factories.make_member()


def test_secret_is_ciphertext_and_the_audit_does_not_know_it(admin):
    department = admin.departments.get()
    secret = secret_create(by=admin, department=department, name="Db password", value=CANARY)
    secret_update(secret=secret, by=admin, value=f"{CANARY}-2")
    secret.refresh_from_db()
    assert CANARY not in secret.ciphertext
    assert secret_values(department=department, slugs=["db-password"]) == {"db-password": f"{CANARY}-2"}
    trail = AuditEntry.objects.filter(object_id=str(secret.pk))
    assert [entry.action for entry in trail.order_by("at")] == ["secret.create", "secret.update"]
    assert not [
        e for e in trail if CANARY in f"{e.before}{e.after}" or "ciphertext" in f"{e.before}{e.after}"
    ]


def test_secret_belongs_to_a_department(admin):
    root = factories.make_user(superuser=True)
    with pytest.raises(ValidationError, match="belongs to a department"):
        secret_create(by=root, department=None, name="For all", value=CANARY)
    other = factories.make_department()
    factories.make_secret("theirs", department=other)
    with pytest.raises(Refused, match="no secret theirs"):
        secret_values(department=admin.departments.get(), slugs=["theirs"])


def test_secret_is_an_admins_to_write(db):
    operator = factories.make_member(role="operator")
    with pytest.raises(NotAllowed):
        secret_create(by=operator, department=operator.departments.get(), name="x", value=CANARY)


def test_short_secret_is_refused(admin):
    with pytest.raises(BadInput, match="Between 8"):
        secret_create(by=admin, department=admin.departments.get(), name="x", value="short")


def test_no_page_and_no_answer_shows_the_value(admin, client):
    department = admin.departments.get()
    client.force_login(admin)
    body = {"department": department.pk, "name": "Db password", "value": CANARY}
    made = client.post("/secrets/new/", body, follow=True)
    secret = Secret.objects.get()
    pages = [made, *(client.get(f"/{path}") for path in (
        "secrets/", f"secrets/{secret.pk}/", f"secrets/{secret.pk}/edit/", "api/v1/secrets/",
        f"api/v1/secrets/{secret.pk}/", "audit/",
    ))]  # fmt: skip
    assert [page.status_code for page in pages] == [200] * 7
    for page in pages:
        assert CANARY not in page.content.decode()
        assert secret.ciphertext not in page.content.decode()
    answer = client.patch(
        f"/api/v1/secrets/{secret.pk}/", {"value": f"{CANARY}-new"}, content_type="application/json"
    )
    assert answer.status_code == 200
    assert CANARY not in answer.content.decode()
    assert secret_values(department=department, slugs=["db-password"]) == {"db-password": f"{CANARY}-new"}
