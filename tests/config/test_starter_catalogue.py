"""Whoever begins without the demo gets the starter catalogue by a command."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from migrations_engine.models import TargetEndpoint
from personas.domain.catalogue import catalogue
from personas.models import DriverSet, NetworkProfile, Persona, ResourceProfile, Script
from templates_app.models import MigrationTemplate
from templates_app.services.starter_templates import STARTERS
from tests.factories import make_user

pytestmark = pytest.mark.django_db

MODELS = (DriverSet, ResourceProfile, NetworkProfile, Script, Persona, MigrationTemplate, TargetEndpoint)


def run():
    out = StringIO()
    call_command("starter_catalogue", stdout=out)
    return out.getvalue()


def counts():
    return [model.objects.count() for model in MODELS]


def test_it_installs_everything_and_a_second_time_nothing():
    make_user(superuser=True)
    told = run()
    assert f"{len(catalogue().personas)} personas, {len(STARTERS)} templates, 1 targets" in told
    assert (Persona.objects.count(), MigrationTemplate.objects.count()) == (
        len(catalogue().personas),
        len(STARTERS),
    )
    before = counts()
    assert min(before) > 0
    assert run() == "Nothing to install: all of it is there.\n"
    assert counts() == before


def test_it_makes_what_is_missing_and_leaves_what_was_changed():
    make_user(superuser=True)
    run()
    Persona.objects.filter(slug="web-dev").update(name="Ours")
    MigrationTemplate.objects.get(slug="desktop").delete()
    assert run() == "Installed 1 templates.\n"
    assert Persona.objects.get(slug="web-dev").name == "Ours"


def test_without_a_superuser_it_says_what_to_do_first():
    with pytest.raises(CommandError, match="createsuperuser"):
        run()
    assert counts() == [0] * len(MODELS)
