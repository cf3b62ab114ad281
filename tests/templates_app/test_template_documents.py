"""Templates as documents: out, in, and the starters."""

import pytest

from personas.models import DriverSet
from personas.services.catalogue import catalogue_install
from templates_app.models import MigrationTemplate
from templates_app.services.merging import merge_for
from templates_app.services.starter_templates import STARTERS, starter_templates_install
from templates_app.services.template_document import template_export, template_import
from tests.factories import make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def root():
    user = make_user("root", superuser=True)
    catalogue_install(by=user)
    starter_templates_install(by=user)
    return user


def test_starters_are_installed_once(root):
    assert MigrationTemplate.objects.count() == len(STARTERS)
    assert starter_templates_install(by=root) == 0
    assert [t.revision for t in MigrationTemplate.objects.all()] == [1] * len(STARTERS)


def test_every_starter_merges_with_every_starter_persona(root):
    from personas.models import Persona

    for template in MigrationTemplate.objects.all():
        for persona in Persona.objects.all():
            merged = merge_for(template=template, personas=[persona], user=root)
            assert merged.settings["devices"]["disk"]
            assert merged.settings["resources"]["memory_mib"] >= 1024


def test_legacy_template_keeps_its_drivers_whoever_moves_in(root):
    from personas.models import Persona

    template = MigrationTemplate.objects.get(slug="legacy-bios")
    merged = merge_for(template=template, personas=[Persona.objects.get(slug="web-dev")], user=root)
    assert merged.settings["devices"] == {"disk": "ide-hd", "nic": "e1000e"}
    assert "virtio_net" not in merged.settings["kernel_modules"]
    assert {"driver_set", "storage.bus"} <= {row["path"] for row in merged.refused}


def test_a_template_comes_back_as_it_went_out(root, department):
    for template in MigrationTemplate.objects.all():
        again = template_import(data=template_export(template), by=root, department=department)
        assert template_export(again) == template_export(template)


def test_import_makes_profiles_where_none_says_the_same(admin, department):
    data = {"name": "Big", "settings": {"resources": {"vcpus": 16}, "locks": ["resources"], "packages": None}}
    template = template_import(data=data, by=admin, department=department)
    assert template.resource_allocation_profile.vcpus == 16
    assert template.document() == {"schema_version": 1, **data["settings"]}


@pytest.mark.parametrize(
    ("data", "pointer"),
    [
        ([], "#/"),
        ({"title": "X"}, "#/title"),
        ({"name": "X", "settings": []}, "#/settings"),
        ({"name": "X", "settings": {"resources": {"vcpus": "many"}}}, "#/settings/resources/vcpus"),
        ({"name": "X", "settings": {"list_modes": {"packages": "replace"}}}, "#/settings/list_modes"),
        ({"name": "X", "settings": {"driver_set": "none"}}, "#/settings/driver_set"),
        ({"name": "X", "settings": {"locks": ["colour"]}}, "#/locks"),
        ({"name": "X", "settings": {"locks": "packages"}}, "#/locks"),
        ({"name": "X", "persona": "nobody"}, "#/persona"),
        ({"settings": {}}, "#/name"),
    ],
)
def test_import_points_at_what_is_wrong_and_stores_nothing(api, admin, data, pointer):
    response = api(admin).post("/api/v1/templates/import/", {"document": data})
    assert response.status_code == 400, response.json()
    assert pointer in {error["pointer"] for error in response.json()["errors"]}
    assert not MigrationTemplate.objects.exists()


def test_export_goes_over_the_wire_and_into_another_department(api, admin, department):
    DriverSet.objects.create(name="Own", slug="own", department=department, drivers=[])
    data = {"name": "Moved", "settings": {"driver_set": "own", "machine": "pc"}}
    client = api(admin)
    made = client.post(
        "/api/v1/templates/import/", {"document": data, "department": str(department.pk)}
    ).json()
    told = client.get(f"/api/v1/templates/{made['id']}/document/").json()
    assert told["settings"] == {"schema_version": 1, "driver_set": "own", "machine": "pc"}
