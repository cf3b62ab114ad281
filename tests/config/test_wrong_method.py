"""What stands at an address that only a button's POST has."""

import uuid

import pytest
from django.urls import reverse

from tests.factories import make_user

pytestmark = pytest.mark.django_db


def test_the_address_of_a_button_has_a_page_that_says_so(client):
    client.force_login(make_user("lea"))
    answer = client.get(reverse("analyzer:vm_usage_upload", args=[uuid.uuid4()]))
    assert (answer.status_code, answer["Allow"]) == (405, "POST")
    assert "Nothing was done" in answer.content.decode()
