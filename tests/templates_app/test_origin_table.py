"""The table that people read: what changed, who did it, what it replaced."""

from personas.domain.labels import GROUPS
from personas.domain.settings import LEAVES
from templates_app.domain.conflict_table import conflict_table
from templates_app.domain.layers import Layer
from templates_app.domain.merge import merge
from templates_app.domain.origin_table import Who, origin_table, who_of


def table_of(*layers, driver_sets=None, only_changed=False):
    return origin_table(merge(layers, driver_sets or {}).as_dict(), only_changed=only_changed)


def row_of(table, path):
    return next(row for group in table.groups for row in group.rows if row.path == path)


def template(**document):
    return Layer("template", "Debian", 1, document)


def persona(name="WebDev", **document):
    return Layer("persona", name, 2, document)


def test_a_label_is_read_back_into_who_it_names():
    assert who_of("system") == Who("system", "")
    assert who_of("persona:Web@Dev: old@12") == Who("persona", "Web@Dev: old", "12")
    assert who_of("driver set virtio via persona:WebDev@2") == Who("persona", "WebDev", "2", "virtio")
    assert who_of("department:sales") == Who("department", "sales")


def test_every_setting_has_a_place_in_the_table():
    assert set(LEAVES) - {"schema_version"} == {path for labels in GROUPS.values() for path in labels}


def test_each_origin_is_in_the_table_once():
    merged = merge([template(packages=["curl"], monitoring_tags={"a.b": "1"}), persona(machine="pc")])
    table = origin_table(merged.as_dict())
    paths = [row.path for group in table.groups for row in group.rows]
    assert sorted(paths) == sorted(row["path"] for row in merged.origin)
    assert (table.total, table.sha256) == (len(merged.origin), merged.sha256)


def test_a_replaced_value_is_told_with_who_had_said_it():
    row = row_of(table_of(template(machine="pc"), persona(machine="q35")), "machine")
    assert row.value == "q35"
    assert [(said.value, said.who.name) for said in row.replaced] == [("pc", "Debian")]
    assert row.is_changed


def test_the_same_value_again_changes_nothing():
    row = row_of(table_of(template(machine="pc"), persona(machine="pc")), "machine")
    assert not row.is_changed
    assert [who.name for who in row.agreed] == ["Debian"]


def test_items_that_were_added_are_marked():
    row = row_of(table_of(template(packages=["curl"]), persona(packages=["vim"])), "packages")
    assert [(item.value, item.is_new) for item in row.items] == [("curl", False), ("vim", True)]
    assert [who.name for who in row.authors] == ["Debian", "WebDev"]


def test_what_was_taken_away_has_a_row():
    row = row_of(table_of(template(machine="pc"), persona(firmware=None, machine=None)), "machine")
    assert row.is_unset and row.is_changed
    assert [said.value for said in row.replaced] == ["q35", "pc"]


def test_what_a_lock_refused_is_told_where_it_would_have_stood():
    layers = template(machine="pc", locks=["machine", "packages"]), persona(machine="q35", packages=["vim"])
    table = table_of(*layers, only_changed=True)
    assert table.refused == 2
    assert [said.value for said in row_of(table, "machine").refused] == ["q35"]
    kept_out = row_of(table, "packages")
    assert kept_out.refused_only and not kept_out.is_unset
    assert table.changed == 0


def test_only_changes_leaves_out_what_the_template_decides():
    table = table_of(template(machine="pc", firmware="bios"), persona(firmware="uefi"), only_changed=True)
    assert [row.path for group in table.groups for row in group.rows] == ["firmware"]
    assert table.total > 1


def test_scripts_and_checks_read_as_words():
    checks = [{"kind": "http", "port": 8080}, {"kind": "tcp", "port": 22}]
    table = table_of(persona(post_migration={"scripts": [{"name": "tune"}]}, acceptance_checks=checks))
    assert [item.words for item in row_of(table, "post_migration.scripts").items] == ["tune"]
    assert [item.words for item in row_of(table, "acceptance_checks").items] == ["http 8080 / 200", "tcp 22"]


def test_a_value_that_two_layers_said_is_struck_through_once():
    row = row_of(table_of(template(machine="q35"), persona(machine="pc")), "machine")
    assert [(said.value, said.who.kind) for said in row.replaced] == [("q35", "template")]


def test_conflicts_are_told_with_the_winner_those_among_personas_first():
    layers = (
        template(machine="pc", firmware="bios"),
        persona(firmware="uefi"),
        Layer("persona", "DatabaseAdmin", 5, {"machine": "q35", "firmware": None}, priority=1),
    )
    first, second = conflict_table(merge(layers).as_dict())
    assert (first.path, first.is_among_personas, first.winner.value) == ("firmware", True, None)
    assert [(said.value, said.who.name) for said in first.losers][-2:] == [
        ("bios", "Debian"),
        ("uefi", "WebDev"),
    ]
    assert (second.path, second.is_among_personas) == ("machine", False)
    assert (second.winner.value, second.winner.who) == ("q35", Who("persona", "DatabaseAdmin", "5"))
