import pytest

from personas.domain.yaml_text import UnreadableYaml, load_yaml


@pytest.mark.parametrize(
    "value",
    ["2026-13-45", "1" * 5_000, "!!int x", '!!int ""', "!!timestamp x", "!!float x", "!!bool x"],
)
def test_a_value_that_only_looks_like_one_is_told_with_its_line(value):
    with pytest.raises(UnreadableYaml, match=r"line 2: .* in quotes it is a text"):
        load_yaml(f"name: web\nversion: {value}")
