"""The OpenAPI document: complete, without a warning, served to anyone."""

import pytest
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema


def test_the_document_is_made_without_a_warning_and_is_valid():
    GENERATOR_STATS.reset()
    with GENERATOR_STATS.silence():
        schema = SchemaGenerator().get_schema(request=None, public=True)
    validate_schema(schema)
    assert [*GENERATOR_STATS._error_cache, *GENERATOR_STATS._warn_cache] == []
    assert schema["openapi"].startswith("3.1")


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/api/v1/schema/", "/api/docs/"])
def test_it_is_served_to_anyone(client, path):
    assert client.get(path).status_code == 200


@pytest.mark.django_db
def test_its_operations_are_grouped_by_resource(client):
    paths = client.get("/api/v1/schema/", headers={"accept": "application/json"}).json()["paths"]
    assert paths["/api/v1/personas/"]["get"]["tags"] == ["personas"]
    assert paths["/api/v1/personas/"]["get"]["operationId"] == "personas_list"


@pytest.mark.django_db
def test_a_path_that_does_not_exist_is_a_problem_too(client):
    answer = client.get("/api/v1/nothing-here/")
    assert (answer.status_code, answer["Content-Type"]) == (404, "application/problem+json")
