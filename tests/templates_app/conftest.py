import pytest
from rest_framework.test import APIClient

from tests.factories import make_department, make_member


@pytest.fixture
def department(db):
    return make_department("Databases")


@pytest.fixture
def admin(department):
    return make_member(department, "admin", "alice")


@pytest.fixture
def viewer(department):
    return make_member(department, "viewer", "victor")


@pytest.fixture
def stranger(db):
    return make_member(make_department("Strangers"), "admin", "charlie")


@pytest.fixture
def api():
    def client_of(user):
        client = APIClient()
        client.force_login(user)
        return client

    return client_of
