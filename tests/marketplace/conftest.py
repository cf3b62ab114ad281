import pytest

from marketplace.models import Listing
from marketplace.services.publishing import listing_create, publisher_create, release_publish
from personas.models import DriverSet, NetworkProfile, Persona, ResourceProfile
from personas.services.parts import part_create
from personas.services.personas import persona_create, persona_update
from personas.services.scripts import script_create
from personas.services.secrets import secret_create
from tests.factories import make_department, make_member

SCRIPT = "#!/bin/sh\necho tuned\n"
WORDS = {"summary": "PostgreSQL, tuned", "readme": "# Expects\n\nA *Debian* with PostgreSQL."}


@pytest.fixture
def seller(db):
    return make_department("Databases")


@pytest.fixture
def alice(seller):
    return make_member(seller, "admin", "alice")


@pytest.fixture
def buyer(db):
    return make_department("Web shop")


@pytest.fixture
def bob(buyer):
    return make_member(buyer, "admin", "bob")


@pytest.fixture
def persona(alice, seller):
    own = {"by": alice, "department": seller}
    drivers = [{"name": "net", "kernel_modules": ["virtio_net"], "devices": {"nic": "virtio-net-pci"}}]
    groups = [
        {
            "name": "db",
            "rules": [{"protocol": "tcp", "port_from": 5432, "port_to": 5432, "cidr": "10.0.0.0/8"}],
        }
    ]
    return persona_create(
        **own,
        name="Tuned database",
        default_driver_set=part_create(model=DriverSet, name="Fast", drivers=drivers, **own),
        resource_allocation_profile=part_create(model=ResourceProfile, name="Big", vcpus=4, **own),
        network_profile=part_create(model=NetworkProfile, name="Inside", security_groups=groups, **own),
        post_migration_script=script_create(name="Tune", body=SCRIPT, **own),
        packages=["postgresql-15"],
        list_modes={"packages": "replace"},
        hints=["postgresql"],
        unset=["firmware"],
    )


@pytest.fixture
def listing(alice, seller, persona):
    publisher = publisher_create(by=alice, department=seller, name="DBA team")
    return listing_create(by=alice, publisher=publisher, persona=persona, **WORDS)


@pytest.fixture
def release(listing, alice):
    changes = [{"kind": "added", "text": "First release"}]
    return release_publish(
        listing=listing, by=alice, version="1.0.0", licence="apache-2.0", changelog=changes
    )


@pytest.fixture
def publish(listing, alice):
    """Another version, after changes to the persona that it is made from."""

    def published(version, **changes):
        if changes:
            persona_update(persona=Persona.objects.get(pk=listing.persona_id), by=alice, **changes)
        fresh = Listing.objects.get(pk=listing.pk)
        return release_publish(listing=fresh, by=alice, version=version, licence="Apache-2.0")

    return published


@pytest.fixture
def secret(bob, buyer):
    return secret_create(by=bob, department=buyer, name="Ours", slug="our-password", value="x8Kq02mzPw")
