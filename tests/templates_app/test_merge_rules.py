"""The rule table, and what a merge refuses."""

import pytest

from personas.domain.settings import LEAVES, LIST_LEAVES, MAP_LEAVES, InvalidSettings
from personas.models.settings_columns import COLUMNS, COMPUTED
from templates_app.domain.layers import Layer
from templates_app.domain.merge import merge
from templates_app.domain.rules import DRIVER_LEAVES, RULES, Rule


def template(**document):
    return Layer("template", "Debian", 1, document)


def persona(name="WebDev", **document):
    return Layer("persona", name, 2, document)


def errors_of(*layers, driver_sets=None):
    with pytest.raises(InvalidSettings) as raised:
        merge(layers, driver_sets or {})
    return [(e["layer"], e["field"], e["value"]) for e in raised.value.errors]


def test_every_setting_has_a_rule_and_a_column():
    assert list(RULES) == list(LEAVES)
    assert set(COLUMNS) | COMPUTED == set(LEAVES)


def test_lists_append_and_maps_go_by_key():
    assert {path for path, rule in RULES.items() if rule is Rule.APPEND} == LIST_LEAVES
    assert {path for path, rule in RULES.items() if rule is Rule.PER_KEY} == MAP_LEAVES


def test_driver_sets_land_in_modules_packages_and_devices():
    devices = {path for path in LEAVES if path.startswith("devices.")}
    assert {"kernel_modules", "packages"} | devices == DRIVER_LEAVES


def test_wrong_type_names_layer_field_and_value_instead_of_winning():
    assert errors_of(template(resources={"vcpus": 2}), persona(resources={"vcpus": "many"})) == [
        ("persona:WebDev@2", "resources.vcpus", "many")
    ]


def test_everything_that_is_wrong_is_told_at_once():
    found = errors_of(
        template(packages="curl", colour="red"), persona(resources={"vcpus": 0, "memory_mib": True})
    )
    assert found == [
        ("template:Debian@1", "packages", "curl"),
        ("template:Debian@1", "colour", "red"),
        ("persona:WebDev@2", "resources.vcpus", 0),
        ("persona:WebDev@2", "resources.memory_mib", True),
    ]


def test_error_reads_as_a_sentence():
    with pytest.raises(InvalidSettings, match=r"^persona:WebDev@2: resources\.vcpus: .* \(got 'many'\)$"):
        merge([persona(resources={"vcpus": "many"})])


def test_a_layer_that_is_no_mapping_is_told():
    assert errors_of(Layer("persona", "P", None, ["packages"])) == [("persona:P", "", ["packages"])]


@pytest.mark.parametrize("kind", ["department", "persona", "launch"])
def test_only_a_template_locks(kind):
    assert errors_of(Layer(kind, "X", None, {"locks": ["packages"]})) == [
        (f"{kind}:X", "locks", ["packages"])
    ]


@pytest.mark.parametrize("kind", ["template", "department", "launch"])
def test_only_a_persona_has_list_modes(kind):
    modes = {"packages": "replace"}
    assert errors_of(Layer(kind, "X", None, {"list_modes": modes})) == [(f"{kind}:X", "list_modes", modes)]


def test_a_lock_on_something_unknown_is_told():
    assert errors_of(template(locks=["resources.cores"])) == [
        ("template:Debian@1", "locks.0", "resources.cores")
    ]


def test_unknown_driver_set_is_told_even_where_it_is_beaten():
    known = {"virtio": []}
    assert errors_of(template(driver_set="virtoi"), persona(driver_set="virtio"), driver_sets=known) == [
        ("template:Debian@1", "driver_set", "virtoi")
    ]


def test_unknown_kind_of_layer_is_a_programming_error():
    with pytest.raises(ValueError, match="overlord"):
        merge([Layer("overlord", "X", None, {})])


def test_lock_of_a_group_locks_its_settings():
    merged = merge(
        [template(resources={"vcpus": 2}, locks=["resources"]), persona(resources={"memory_mib": 4096})]
    )
    assert merged.settings["resources"] == {"vcpus": 2}
    assert merged.refused == [
        {
            "path": "resources.memory_mib",
            "layer": "persona:WebDev@2",
            "value": 4096,
            "locked_by": "template:Debian@1",
        }
    ]


def test_lock_on_the_driver_set_keeps_what_it_brings():
    driver_sets = {
        "virtio": [{"name": "net", "kernel_modules": ["virtio_net"]}],
        "legacy": [{"name": "net", "kernel_modules": ["e1000"], "packages": ["legacy-tools"]}],
    }
    merged = merge(
        [template(driver_set="virtio", locks=["driver_set"]), persona(driver_set="legacy")], driver_sets
    )
    assert merged.settings["driver_set"] == "virtio"
    assert merged.settings["kernel_modules"] == ["virtio_net"]
    assert "packages" not in merged.settings
    assert [row["path"] for row in merged.refused] == ["driver_set"]


def test_null_removes_what_a_lower_driver_set_brought():
    driver_sets = {"virtio": [{"name": "net", "kernel_modules": ["virtio_net"]}]}
    merged = merge([template(driver_set="virtio"), persona(kernel_modules=None)], driver_sets)
    assert "kernel_modules" not in merged.settings
    assert merged.conflicts == [
        {
            "path": "kernel_modules",
            "winner": {"layer": "persona:WebDev@2", "value": None},
            "losers": [{"layer": "driver set virtio via template:Debian@1", "value": ["virtio_net"]}],
        }
    ]


def test_null_on_the_driver_set_takes_back_all_it_brought():
    driver_sets = {
        "virtio": [{"name": "net", "kernel_modules": ["virtio_net"], "devices": {"nic": "virtio-net-pci"}}]
    }
    merged = merge([template(driver_set="virtio"), persona(driver_set=None)], driver_sets)
    assert {"driver_set", "kernel_modules", "devices"}.isdisjoint(merged.settings)


def test_a_default_that_is_overwritten_is_no_conflict():
    merged = merge([persona(machine="pc")])
    row = next(row for row in merged.origin if row["path"] == "machine")
    assert row["beat"] == [{"layer": "system", "value": "q35"}]
    assert merged.conflicts == []


def test_the_same_value_twice_is_no_conflict_but_both_are_told():
    merged = merge([template(firmware="uefi"), persona(firmware="uefi")])
    row = next(row for row in merged.origin if row["path"] == "firmware")
    assert row["layer"] == "persona:WebDev@2"
    assert {"layer": "template:Debian@1", "value": "uefi"} in row["beat"]
    assert merged.conflicts == []
