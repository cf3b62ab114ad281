"""Text that no database takes is found wherever it hides."""

import pytest

from personas.domain.storable import unstorable


@pytest.mark.parametrize(
    ("data", "pointer"),
    [
        ({"name": "web"}, None),
        ({"name": "Grüße 😀\n", "n": [1, 2.5, None, True]}, None),
        ("a\x00b", "#"),
        ({"tags": {"a": ["x", "\ud800"]}}, "#/tags/a/1"),
        ([{"name": "\x00"}], "#/0/name"),
        ({"\udfff": 1}, "#/\\udfff"),
    ],
)
def test_where_the_first_such_text_is(data, pointer):
    assert unstorable(data) == pointer
