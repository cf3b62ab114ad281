"""What holds for every merge, tried on generated stacks of layers."""

import random

from hypothesis import given
from hypothesis import strategies as st

from personas.domain.settings import LEAVES, LIST_LEAVES, MAP_LEAVES, SYSTEM_DEFAULTS, validate_document
from templates_app.domain.layers import ABSENT, Layer
from templates_app.domain.merge import merge
from templates_app.domain.rules import DRIVER_LEAVES, RULES
from tests.templates_app.documents import (
    DRIVER_SETS,
    PATHS,
    SCALARS,
    VALUES,
    documents,
    persona_documents,
    placed,
    stacks,
    template_documents,
)


def at(settings, path):
    for part in path.split("."):
        settings = settings.get(part, ABSENT) if settings is not ABSENT else ABSENT
    return settings


def said(settings):
    return {path: at(settings, path) for path in LEAVES if at(settings, path) is not ABSENT}


def leaves_of(settings):
    """Path of each leaf: a list is one, a map has one for each key."""
    paths = [path for path in LEAVES if path not in MAP_LEAVES and at(settings, path) is not ABSENT]
    return paths + [f"{path}.{key}" for path in MAP_LEAVES for key in settings.get(path, ())]


@given(documents(nulls=False), persona_documents(), DRIVER_SETS)
def test_persona_wins_over_template(template, persona, driver_sets):
    merged = merge([Layer("template", "T", 1, template), Layer("persona", "P", 1, persona)], driver_sets)
    rows = {row["path"]: row for row in merged.origin}
    for path in SCALARS:
        value = Layer("persona", document=persona).says(path)
        if value is None:
            assert path in DRIVER_LEAVES or path not in rows
        elif value is not ABSENT:
            assert at(merged.settings, path) == value
            assert rows[path]["layer"] == "persona:P@1"
    for key, value in (persona.get("monitoring_tags") or {}).items():
        assert merged.settings.get("monitoring_tags", {}).get(key) == value


@given(documents(nulls=False), persona_documents(), DRIVER_SETS)
def test_what_only_the_template_says_stays(template, persona, driver_sets):
    below, above = Layer("template", "T", 1, template), Layer("persona", "P", 1, persona)
    merged = merge([below, above], driver_sets)
    for path in set(SCALARS) - DRIVER_LEAVES:
        if above.says(path) is ABSENT and below.says(path) is not ABSENT:
            assert at(merged.settings, path) == below.says(path)
    for path in LIST_LEAVES - DRIVER_LEAVES:
        if above.says(path) is ABSENT and below.says(path) is not ABSENT:
            assert at(merged.settings, path) == unique(complete(path, below.says(path)))


@given(template_documents(), documents(nulls=False), DRIVER_SETS)
def test_what_only_the_persona_says_is_applied(template, persona, driver_sets):
    below, above = Layer("template", "T", 1, template), Layer("persona", "P", 1, persona)
    merged = merge([below, above], driver_sets)
    for path in set(LEAVES) - MAP_LEAVES - DRIVER_LEAVES:
        if below.says(path) is ABSENT and not below.locks(path) and above.says(path) is not ABSENT:
            assert at(merged.settings, path) == unique(complete(path, above.says(path)))


@given(stacks(locked=False), DRIVER_SETS)
def test_merging_twice_changes_nothing(layers, driver_sets):
    """What came out takes the template's place (a default un-said stays un-said); the other layers speak once more."""
    first = merge(layers, driver_sets)
    unsaid = {path: None for path in leaves_of(SYSTEM_DEFAULTS) if at(first.settings, path) is ABSENT}
    outcome = Layer("template", "Merged", None, placed({**said(first.settings), **unsaid}))
    again = merge([outcome, *(layer for layer in layers if layer.kind != "template")], driver_sets)
    assert (again.settings, again.sha256) == (first.settings, first.sha256)


@given(stacks(), DRIVER_SETS, st.randoms(use_true_random=False))
def test_order_of_layers_and_keys_never_matters(layers, driver_sets, dice):
    shuffled = [
        Layer(layer.kind, layer.name, layer.revision, reordered(layer.document, dice), layer.priority)
        for layer in dice.sample(layers, len(layers))
    ]
    assert merge(shuffled, reordered(driver_sets, dice)).as_dict() == merge(layers, driver_sets).as_dict()


def reordered(value, dice: random.Random):
    if isinstance(value, dict):
        return {key: reordered(value[key], dice) for key in dice.sample(sorted(value), len(value))}
    return value


@given(stacks(), DRIVER_SETS)
def test_every_leaf_has_exactly_one_origin_row(layers, driver_sets):
    merged = merge(layers, driver_sets)
    assert sorted(row["path"] for row in merged.origin) == sorted(leaves_of(merged.settings))
    for row in merged.origin:
        assert row["value"] is not None
        assert ("items" in row) == (row["path"] in LIST_LEAVES)
        assert [item["value"] for item in row.get("items", [])] == (row["value"] if "items" in row else [])


@given(stacks(), DRIVER_SETS)
def test_what_was_merged_is_a_document_without_nulls(layers, driver_sets):
    settings = merge(layers, driver_sets).settings
    assert validate_document(settings) == settings
    assert None not in [at(settings, path) for path in LEAVES]


@given(template_documents(), persona_documents(), documents(), DRIVER_SETS)
def test_locks_hold(template, persona, launch, driver_sets):
    lowest = Layer("template", "T", 1, template)
    alone = merge([lowest], driver_sets)
    merged = merge(
        [lowest, Layer("persona", "P", 1, persona), Layer("launch", "", None, launch)], driver_sets
    )
    for path in filter(lowest.locks, LEAVES):
        assert at(merged.settings, path) == at(alone.settings, path)
    assert {row["locked_by"] for row in merged.refused} <= {"template:T@1"}
    assert all(lowest.locks(row["path"]) for row in merged.refused)


@given(template_documents(), persona_documents(), DRIVER_SETS)
def test_without_a_lock_nothing_is_refused(template, persona, driver_sets):
    template.pop("locks", None)
    assert (
        merge([Layer("template", "T", 1, template), Layer("persona", "P", 1, persona)], driver_sets).refused
        == []
    )


@given(documents(), persona_documents(), st.sampled_from(PATHS), DRIVER_SETS)
def test_null_unsets(template, persona, path, driver_sets):
    layers = [Layer("template", "T", 1, template), Layer("persona", "P", 1, persona)]
    merged = merge([*layers, Layer("launch", document=placed({path: None}))], driver_sets)
    assert at(merged.settings, path) is ABSENT


@given(documents(), st.sampled_from(sorted({path.partition(".")[0] for path in PATHS if "." in path})))
def test_null_unsets_a_whole_group(template, group):
    template.pop("driver_set", None)
    merged = merge([Layer("template", "T", 1, template), Layer("launch", document={group: None})])
    assert group not in merged.settings


@given(stacks(locked=False), DRIVER_SETS)
def test_conflicts_name_only_layers_that_disagree(layers, driver_sets):
    merged = merge(layers, driver_sets)
    for conflict in merged.conflicts:
        assert conflict["losers"]
        for loser in conflict["losers"]:
            assert loser["value"] != conflict["winner"]["value"]
            assert loser["layer"] != conflict["winner"]["layer"]


def test_the_rule_table_the_vocabulary_and_these_strategies_speak_of_the_same_settings():
    assert set(RULES) == set(LEAVES) == set(VALUES)


def unique(value):
    return (
        [item for at, item in enumerate(value) if item not in value[:at]]
        if isinstance(value, list)
        else value
    )


def complete(path, value):
    if path != "acceptance_checks":
        return value
    defaults = {
        "http": {"port": 80, "path": "/", "status": 200},
        "command": {"exit_code": 0, "timeout_s": 30},
    }
    filled = [{**defaults.get(check["kind"], {}), **check} for check in value]
    return [{k: v for k, v in check.items() if (k, v) != ("must_pass", True)} for check in filled]
