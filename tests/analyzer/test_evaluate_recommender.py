"""The command that says how right the suggestions are, and its arithmetic."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from rich.console import Console

from analyzer.domain.evaluation import Judged, auroc, ece, f1, judge
from analyzer.management.commands import evaluate_recommender
from analyzer.models import Recommendation, VirtualMachine
from tests.factories import make_vm

pytestmark = pytest.mark.once  # it makes a SQLite of its own, whatever the installation's database is

BASE = "bash coreutils dpkg libc6 systemd openssh-server".split()


def line(label, *names, **more):
    return {
        "label": label,
        "department": "it",
        "os": {"id": "debian", "version": "12"},
        "packages": [*BASE, *names],
        "manual": list(names),
    } | more


TRAIN = [
    line("web", "nginx", "php8.2-fpm"),
    line("store", "postgresql-15"),
    line(None, "stellarium", "kstars"),
    line("blue", "acme-billing"),
] * 3
TEST = [
    line("web", "apache2", "libapache2-mod-php"),
    line("store", "mariadb-server", accept=["store"]),
    line("blue", "acme-billing", "vim"),
    line(None, "astrometry.net", "stellarium"),
]


@pytest.fixture
def written(tmp_path):
    def write(name, rows):
        path = tmp_path / name
        path.write_text("\n".join(json.dumps(row) for row in rows))
        return str(path)

    return write


def evaluated(capsys, *arguments):
    call_command("evaluate_recommender", *arguments, "--json")
    return json.loads(capsys.readouterr().out)


@pytest.mark.django_db
def test_it_learns_from_the_train_lines_and_judges_the_test_lines(written, capsys):
    told = evaluated(capsys, "--train", written("a", TRAIN), "--test", written("b", TEST))
    assert told["top1"] == 1
    assert told["top3"] == 1
    assert told["no_good_fit_auroc"] == 1
    assert told["recall"] == {"web": 1, "store": 1, "blue": 1}
    assert told["model"]["answers"] == len(TRAIN)
    assert told["seconds_per_vm"] > 0
    assert 0 <= told["ece"] <= 1


@pytest.mark.django_db
def test_without_train_lines_it_goes_by_the_personas_alone(written, capsys):
    personas = [{"name": "web", "description": "Web sites"}, {"name": "store", "hints": ["postgresql"]}]
    told = evaluated(capsys, "--test", written("b", TEST[:2]), "--personas", written("p", personas))
    assert told["top1"] == 1
    assert told["train"] == 0


@pytest.mark.django_db
def test_names_of_another_distribution_are_understood(written, capsys):
    fedora = {"os": {"id": "fedora", "version": "40"}, "manual": None}
    test = [line("web", "httpd", "php-fpm", **fedora), line("store", "postgresql-server", **fedora)]
    told = evaluated(capsys, "--train", written("a", TRAIN), "--test", written("b", test))
    assert told["top1"] == 1


@pytest.mark.django_db
def test_services_and_ports_alone_are_enough(written, capsys):
    bare = {"packages": [], "manual": []}
    test = [line("web", services=["nginx.service"], **bare), line("store", ports=[5432], **bare)]
    told = evaluated(capsys, "--train", written("a", TRAIN), "--test", written("b", test))
    assert told["top1"] == 1


@pytest.mark.django_db
def test_two_roles_on_one_machine_are_counted_as_a_pair(written, capsys):
    both = line(["web", "store"], "nginx", "php8.2-fpm", "postgresql-15", "pgbadger")
    told = evaluated(capsys, "--train", written("a", TRAIN), "--test", written("b", [both]))
    assert told["pairs_exact"] == 1


@pytest.mark.django_db
def test_this_installation_is_not_touched(written, capsys):
    vm = make_vm()
    evaluated(capsys, "--train", written("a", TRAIN), "--test", written("b", TEST))
    assert list(VirtualMachine.objects.all()) == [vm]
    assert not Recommendation.objects.exists()


@pytest.mark.django_db
def test_a_bad_line_is_named(written):
    path = written("b", [*TEST, {"packages": "nginx"}])
    with pytest.raises(CommandError, match=r"b:5: packages"):
        call_command("evaluate_recommender", "--test", path)


def test_persona_s_name_is_printed_as_it_is():
    screen = Console(file=StringIO())
    evaluate_recommender._show({"top1": 1, "recall": {"Web[/b] [red]": 1.0}}, screen)
    assert "Web[/b] [red]" in screen.file.getvalue()


@pytest.mark.django_db
def test_what_other_programs_write_is_understood(written, capsys):
    fields = "id accept department os packages manual services ports usage".split()
    rows = [
        {"label": 7, "packages": ["nginx"], "id": 12, "department": 3, "colour": "red", "os": {"version": 12}},
        {"label": None} | dict.fromkeys(fields),
        {"label": "web", "packages": ["a\0b", "x" * 300], "ports": [0, 80, 70000, None], "services": [5, None]},
    ]
    told = evaluated(capsys, "--test", written("b", rows), "--personas", written("c", [
        {"name": 7, "description": None, "hints": None, "owner": "it"}]))  # fmt: skip
    assert told["machines"] == 3 and told["top1"] == 0.5
    told = evaluated(capsys, "--train", written("a", rows), "--test", written("b", rows))
    assert told["train"] == 3


@pytest.mark.django_db
def test_without_any_persona_nothing_is_right(written, capsys):
    told = evaluated(
        capsys, "--train", written("a", [line(None, "stellarium")]), "--test", written("b", TEST)
    )
    assert (told["top1"], told["top3"], told["recall"]["web"]) == (0, 0, 0)


def test_auroc_is_the_chance_to_be_ranked_above():
    assert auroc([0.9, 0.8, 0.1], [True, False, False]) == 1
    assert auroc([0.5, 0.5], [True, False]) == 0.5
    assert auroc([0.5, 0.5], [True, True]) is None


def test_ece_is_the_gap_between_sure_and_right():
    assert ece([0.8] * 10, [True] * 8 + [False] * 2) == pytest.approx(0)
    assert ece([1.0] * 10, [True] * 5 + [False] * 5) == pytest.approx(0.5)
    assert ece([], []) is None


def test_f1_of_nothing_is_nothing():
    assert f1([False], [False]) is None
    assert f1([True, True], [True, False]) == pytest.approx(0.6667)


def test_an_accepted_label_is_right_as_well():
    each = Judged("a", frozenset("ab"), ("b", "c", "a"), "b", 0.9, 0.1)
    assert judge([each])["top1"] == 1
