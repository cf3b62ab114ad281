"""Golden vectors: layers in, every outcome spelled out. Another implementation can be held against the same files."""

import hashlib
import json
from pathlib import Path

import pytest

from templates_app.domain.layers import Layer
from templates_app.domain.merge import merge

VECTORS = sorted((Path(__file__).parent / "vectors").glob("*.json"))


def merged_of(vector):
    return merge([Layer(**layer) for layer in vector["layers"]], vector["driver_sets"])


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_merge_gives_what_the_vector_says(path):
    vector = json.loads(path.read_text())
    merged, expected = merged_of(vector), vector["expect"]
    assert merged.settings == expected["merged"]
    assert set_by(merged) == expected["set_by"]
    assert beaten(merged) == expected["beat"]
    assert merged.conflicts == expected["conflicts"]
    assert merged.refused == expected["refused"]
    assert merged.sha256 == expected["sha256"]


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_hash_of_a_vector_can_be_reproduced_with_nothing_but_json(path):
    expected = json.loads(path.read_text())["expect"]
    text = json.dumps(expected["merged"], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert hashlib.sha256(text.encode()).hexdigest() == expected["sha256"]


def set_by(merged):
    return {
        row["path"]: [item["layer"] for item in row["items"]] if "items" in row else row["layer"]
        for row in merged.origin
    }


def beaten(merged):
    told = {row["path"]: [f"{b['layer']} = {b['value']}" for b in row["beat"]] for row in merged.origin}
    return {path: losers for path, losers in told.items() if losers}
