"""Machines of a kind, whatever image they were made from, and the persona that a kind suggests."""

from analyzer.domain.estate_map import HEIGHT, WIDTH, cell_of
from analyzer.domain.kind_draft import Choice, Member, kind_draft
from analyzer.domain.kinds import Fingerprint, Kind, families, family_of, kinds, likeness

STARS = {"astronomy": 1.2, "office": 0.4}
SITES = {"web": 1.1, "database": 0.5}


def prints(evidence, *ids, names=("stellarium",), unexplained=()):
    return [Fingerprint(each, evidence, dict.fromkeys(names, 1.0), tuple(unexplained)) for each in ids]


def test_trades_that_one_persona_does_are_a_family():
    assert families()["dns"] == families()["vpn"] == families()["proxy"]
    assert families()["audio"] == families()["graphics"]
    assert families()["web"] != families()["database"]


def test_the_family_with_the_most_evidence_is_the_kind():
    assert family_of({"dns": 0.4, "vpn": 0.4, "web": 0.6}) == families()["dns"]
    assert family_of({"web": 0.1}) == ""


def test_machines_of_a_kind_are_found_in_any_order():
    machines = [*prints(STARS, "a", "c", "e"), *prints(SITES, "b", "d", "f", "g", names=("nginx",))]
    found = kinds(machines)
    assert found == kinds(machines[::-1])
    assert [(kind.key, kind.members) for kind in found] == [
        ("web", ("b", "d", "f", "g")),
        ("astronomy", ("a", "c", "e")),
    ]
    assert found[1].names == (("stellarium", 1.0),)


def test_one_machine_more_changes_only_its_own_kind():
    machines = [*prints(STARS, "a", "c", "e"), *prints(SITES, "b", "d", "f")]
    more = kinds([*machines, *prints(STARS, "z")])
    assert [kind for kind in more if kind.key == "web"] == [
        kind for kind in kinds(machines) if kind.key == "web"
    ]


def test_two_machines_are_no_kind():
    assert kinds(prints(STARS, "a", "b")) == ()


def test_software_of_this_company_alone_makes_a_kind():
    machines = prints({}, "a", "b", "c", names=(), unexplained=("acme-billing", "acme-agent"))
    machines += prints({}, "d", "e", "f", names=(), unexplained=("acme-agent", "acme-store"))
    assert [(kind.key, len(kind.members)) for kind in kinds(machines)] == [("own:acme-agent", 6)]


def member(vcpus, *units, **distribution):
    settings = {"resources": {"vcpus": vcpus, "memory_mib": 2048}}
    return Member(settings | ({"distribution": distribution} if distribution else {}), frozenset(units))


def test_a_draft_says_what_the_members_have_in_common():
    kind = Kind("web", ("a", "b", "c"), (("nginx", 1.0), ("php-fpm", 0.6)))
    members = [member(n, "nginx.service", name="debian", version="12") for n in (2, 2, 4)]
    draft = kind_draft(
        kind,
        members,
        scripts=[Choice(slug, frozenset(slug.split("-"))) for slug in ("tune-postgresql", "tune-nginx")],
        driver_sets=[Choice("for-suse", distributions=frozenset({"sles"})), Choice("virtio")],
    )
    assert draft["name"] == "Web serving"
    assert draft["hints"] == ["nginx", "php-fpm"]
    assert draft["settings"] == {
        "schema_version": 1,
        "distribution": {"name": "debian", "version": "12", "intent": "prefer"},
        "driver_set": "virtio",
        "resources": {"vcpus": 4, "memory_mib": 2048},
        "post_migration": {"scripts": [{"name": "tune-nginx"}]},
        "monitoring_tags": {"role": "web"},
        "acceptance_checks": [{"kind": "systemd_unit", "unit": "nginx.service"}],
    }


def test_versions_that_differ_are_left_open():
    kind = Kind("web", ("a", "b"), ())
    draft = kind_draft(kind, [member(1, name="debian", version="11"), member(1, name="debian", version="12")])
    assert draft["settings"]["distribution"] == {"name": "debian", "intent": "prefer"}


def test_likeness_is_the_share_of_software_that_both_name():
    kind = Kind("web", ("a",), (("nginx", 1.0), ("php-fpm", 1.0)))
    assert likeness(frozenset({"nginx"}), kind) == 0.5
    assert likeness(frozenset(), kind) == 0


def test_a_machine_stands_on_the_map_by_its_own_software():
    assert cell_of({}) == (WIDTH // 2, HEIGHT // 2)
    assert cell_of(STARS) == cell_of(dict(reversed(STARS.items())))
    assert cell_of(STARS) != cell_of(SITES)
    assert all(0 <= x < WIDTH and 0 <= y < HEIGHT for x, y in map(cell_of, (STARS, SITES)))
