"""A row points only to what its writer may see, when it is made and when it is changed."""

import uuid

import pytest
from django.apps import apps
from django.urls import reverse
from rest_framework.test import APIClient

from tests import factories
from tests.access.routes import routes

pytestmark = pytest.mark.once  # what a form takes from whom does not depend on the database


def relational_fields() -> list[tuple[str, str, str]]:
    """(list route, its rule's object or "", field) of every writable foreign key of every resource of the API."""
    from rest_framework.relations import ManyRelatedField, RelatedField

    from config.api import router

    found = []
    for _, viewset, basename in router().registry:
        serializer = getattr(viewset, "serializer_class", None)
        if serializer is None or not hasattr(viewset, "create"):
            continue
        view = viewset(action="create", request=None, format_kwarg=None, kwargs={})
        for name, each in serializer(context={"view": view, "request": None}).get_fields().items():
            if isinstance(each, (RelatedField, ManyRelatedField)) and not each.read_only:
                found.append((basename, name))
    return found


FIELDS = relational_fields()


def test_there_are_relational_fields_to_try():
    assert ("persona", "default_driver_set") in FIELDS
    assert ("persona", "department") in FIELDS


RELATED = {
    "default_driver_set": "driverset",
    "resource_allocation_profile": "resourceprofile",
    "network_profile": "networkprofile",
    "post_migration_script": "script",
    "after": "wave",
}
"""Fields that are called otherwise than the row that they point to."""


@pytest.mark.parametrize(("basename", "name"), FIELDS)
def test_a_new_row_can_not_point_into_another_department(world, basename, name):
    """Charlie names our row; an id that nobody has gets the very same answer."""
    rows, people = world
    client = logged_in(people["charlie"])
    told = []
    for value in (rows[RELATED.get(name, name)].pk, uuid.uuid4()):
        response = client.post(reverse(f"{basename}-list"), {name: str(value)}, format="json")
        assert response.status_code == 400
        told.append(complaint(response, name))
    assert told[0]
    assert told[0] == told[1]


def test_what_has_no_own_row_here_can_not_be_changed():
    for basename in {basename for basename, _ in FIELDS if basename not in OWN_ROWS}:
        route = next(route for route in routes() if route.name == f"{basename}-detail")
        assert not {"put", "patch"} & set(route.methods), basename


def own_vm_persona(department):
    from analyzer.models import VMPersona

    persona = factories.make_persona(department=department)
    return VMPersona.objects.create(vm=factories.make_vm(department), persona=persona, use_case="default")


def own_profile(model: str):
    def make(department):
        return apps.get_model("personas", model).objects.create(
            name="Mine", slug="mine", department=department
        )

    return make


def own_listing(department):
    from marketplace.models import Listing, Publisher

    publisher = Publisher.objects.create(department=department, name="Mine", slug="mine")
    persona = factories.make_persona(department=department)
    return Listing.objects.create(publisher=publisher, persona=persona, slug="mine", name="Mine")


def own_publisher(department):
    from marketplace.models import Publisher

    return Publisher.objects.create(department=department, name="Mine", slug="mine")


def own_wave(department):
    from migrations_engine.services.waves import wave_create

    template = factories.make_template(department=department)
    return wave_create(
        department=department, name="Mine", template=template, by=factories.make_user(superuser=True)
    )


def own_software_name(department):
    from analyzer.models import SoftwareName

    return SoftwareName.objects.create(department=department, name="mine-httpd", means="nginx")


def own_webhook(department):
    from migrations_engine.models import Webhook

    return Webhook.objects.create(department=department, name="Mine", url="https://mine.example/", secret="-")


OWN_ROWS = {
    "software-name": own_software_name,
    "webhook": own_webhook,
    "wave": own_wave,
    "persona": lambda department: factories.make_persona(department=department),
    "driverset": lambda department: factories.make_driver_set(department=department),
    "resourceprofile": own_profile("ResourceProfile"),
    "networkprofile": own_profile("NetworkProfile"),
    "script": lambda department: factories.make_script(department=department),
    "secret": lambda department: factories.make_secret(department=department),
    "template": lambda department: factories.make_template(department=department),
    "source": lambda department: factories.make_source(department),
    "vm-persona": own_vm_persona,
    "target": lambda department: factories.make_target(department=department),
    "listing": own_listing,
    "publisher": own_publisher,
}


CHANGEABLE = [(basename, name) for basename, name in FIELDS if basename in OWN_ROWS]


@pytest.mark.parametrize(("basename", "name"), CHANGEABLE)
def test_a_row_can_not_be_turned_to_another_department(world, basename, name):
    """Refused, or (where the field is fixed once it is made) left as it is."""
    rows, people = world
    mine = OWN_ROWS[basename](people["charlie"].departments.get())
    before = getattr(mine, f"{name}_id")
    body = {name: str(rows[RELATED.get(name, name)].pk)}
    response = logged_in(people["charlie"]).patch(
        reverse(f"{basename}-detail", args=[mine.pk]), body, format="json", headers={"if-match": "*"}
    )
    refused = response.status_code == 400 and complaint(response, name)
    assert refused or response.json()[name] == str(before)
    mine.refresh_from_db()
    assert getattr(mine, f"{name}_id") == before


def logged_in(user) -> APIClient:
    client = APIClient()
    client.force_login(user)
    return client


def complaint(response, name: str) -> str:
    """What the problem says of the field, ids left out."""
    told = [e["detail"] for e in response.json().get("errors", []) if e["pointer"].startswith(f"#/{name}")]
    return " ".join(" ".join(word for word in text.split() if "-" not in word) for text in told)
