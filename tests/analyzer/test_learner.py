"""The learner: right from the first day, better with answers, unmoved by blunders, honest about doubt."""

import json

import numpy as np
import pytest

from analyzer.domain.learner import (
    NONE,
    Model,
    Scorer,
    affinity,
    calibrated,
    dense_rows,
    learned,
    platt,
    profile,
    row_of,
)
from analyzer.domain.second_role import in_order
from analyzer.domain.software import Workload, workload
from tests.factories import make_facts, make_package

WEB = profile(id="web", name="WebDev", description="Websites over HTTP", hints=("nginx", "apache2"))
DATABASE = profile(id="db", name="DatabaseAdmin", hints=("postgresql", "mariadb-server"))
SCIENCE = profile(id="sci", name="DataScientist", description="Statistics and notebooks")
ALL = (WEB, DATABASE, SCIENCE)
TEAM_A, TEAM_B = profile(id="a", name="Blue"), profile(id="b", name="Green")


def machine(*names):
    return workload(make_facts(packages=tuple(make_package(name) for name in names)))


def chances(model, profiles, *names):
    row = Scorer(model, profiles).probabilities([machine(*names)])[0]
    return dict(zip([*(each.id for each in profiles), NONE], row, strict=True))


def best(model, profiles, *names):
    found = chances(model, profiles, *names)
    return max(found, key=found.get)


def taught(answers, profiles=ALL, model=None):
    model = model or Model()
    for label, names in answers:
        model = learned(model, profiles, machine(*names), label=label)
    return model


def test_a_personas_words_name_its_trades():
    assert max(affinity("WebDev"), key=affinity("WebDev").get) == "web"
    assert affinity("x", ("postgresql-15",)) == {"database": 1.0}
    assert affinity("Green team") == {}


@pytest.mark.parametrize(
    ("names", "persona"),
    [
        (("nginx", "php8.2-fpm", "mariadb-server"), "web"),
        (("postgresql-15", "pgbadger"), "db"),
        (("r-base", "r-cran-dplyr", "jupyter-notebook"), "sci"),
        (("stellarium", "python3-astropy", "kstars"), NONE),
    ],
)
def test_the_first_day_needs_no_answers(names, persona):
    assert best(Model(), ALL, *names) == persona


def test_a_bare_machine_fits_none():
    assert best(Model(), ALL, "bash", "coreutils", "openssh-server") == NONE


def test_a_little_of_many_foreign_trades_is_noise():
    """One purpose that no persona is for says more than as much evidence scattered over three."""
    one = workload_of(astronomy=0.9, database=0.6)
    scattered = workload_of(astronomy=0.3, games=0.3, voip=0.3, database=0.6)
    no_fit = Scorer(Model(), ALL).probabilities([one, scattered])[:, -1]
    assert no_fit[0] > 0.5 > no_fit[1]


def test_nothing_foreign_says_nothing_for_none():
    scorer = Scorer(Model(), ALL)
    rows = dense_rows([row_of(workload_of(web=1.2, database=0.4)), row_of(workload_of())])
    assert scorer.foreignness(rows).tolist() == [0, 0]


def test_a_little_of_each_of_its_trades_is_no_more_than_all_of_one():
    network = profile(id="net", name="Network", description="DNS, DHCP, VPN, firewall and proxy")
    scattered = dict.fromkeys(("dns", "dhcp", "vpn", "firewall", "proxy"), 0.2)
    row = Scorer(Model(), (network, DATABASE)).probabilities([workload_of(database=0.9, **scattered)])[0]
    assert row.argmax() == 1


def workload_of(**evidence):
    return Workload(signs=(), evidence=evidence)


def test_chances_are_chances():
    workloads = [machine("nginx"), machine(), machine("postgresql-15", "nginx", "r-base")]
    found = Scorer(Model(), ALL).probabilities(workloads)
    assert found.shape == (3, 4)
    assert np.allclose(found.sum(axis=1), 1)
    assert (found >= 0).all()


def test_answers_teach_what_no_words_said():
    answers = [("a", ("acme-billing", "openjdk-17-jre")), ("b", ("acme-warehouse", "openjdk-17-jre"))] * 6
    model = taught(answers, (TEAM_A, TEAM_B))
    assert best(model, (TEAM_A, TEAM_B), "acme-billing", "openjdk-17-jre", "vim") == "a"
    assert best(model, (TEAM_A, TEAM_B), "acme-warehouse", "openjdk-17-jre", "vim") == "b"


def test_one_answer_moves_the_chance_at_once():
    before = chances(Model(), ALL, "rabbitmq-server")["db"]
    after = chances(taught([("db", ("rabbitmq-server",))]), ALL, "rabbitmq-server")["db"]
    assert after > before


def test_a_few_wrong_answers_do_not_turn_it_round():
    right = [("web", ("nginx", "php8.2-fpm")), ("db", ("postgresql-15",)), ("sci", ("r-base",))] * 9
    wrong = [("db", ("nginx", "php8.2-fpm")), ("sci", ("postgresql-15",)), ("web", ("r-base",))]
    model = taught(right + wrong)
    assert [best(model, ALL, *names) for _, names in right[:3]] == ["web", "db", "sci"]


def test_many_alike_win_over_the_words():
    model = taught([("db", ("nginx", "php8.2-fpm"))] * 40)
    assert best(model, ALL, "nginx", "php8.2-fpm") == "db"


def test_what_it_is_not_is_learned_too():
    before = chances(Model(), ALL, "nginx", "postgresql-15")["web"]
    model = Model()
    for _ in range(5):
        model = learned(model, ALL, machine("nginx", "postgresql-15"), label="web", wrong=True)
    assert chances(model, ALL, "nginx", "postgresql-15")["web"] < before


def test_none_of_them_can_be_taught():
    model = taught([(NONE, ("asterisk", "nginx"))] * 6)
    assert best(model, ALL, "asterisk", "nginx") == NONE


def test_another_department_helps_only_where_it_is_shared():
    shared = taught([("a", ("acme-billing",)), ("b", ("acme-warehouse",))] * 6, (TEAM_A, TEAM_B))
    both = (TEAM_A, TEAM_B)
    row = Scorer(Model(), both, shared).probabilities([machine("acme-billing")])[0]
    assert row.argmax() == 0
    alone = Scorer(Model(), both).probabilities([machine("acme-billing")])[0]
    assert alone[0] == pytest.approx(alone[1])


def test_a_model_is_plain_json_and_comes_back_the_same():
    model = taught([("web", ("nginx",)), ("db", ("postgresql-15",)), (NONE, ("stellarium",))])
    back = Model.from_json(json.loads(json.dumps(model.as_json())))
    assert back.version == 3
    assert chances(back, ALL, "nginx") == pytest.approx(chances(model, ALL, "nginx"), abs=1e-3)
    assert Model.from_json({"name": "another"}) == Model()


def test_a_persona_that_went_takes_nothing_with_it():
    model = taught([("web", ("nginx",)), ("db", ("postgresql-15",))])
    fewer = learned(model, (DATABASE, SCIENCE), machine("r-base"), label="sci")
    assert "web" in fewer.moves  # it may come back
    assert best(fewer, (DATABASE, SCIENCE), "postgresql-15") == "db"


def test_the_same_answers_give_the_same_model():
    answers = [("web", ("nginx",)), ("db", ("postgresql-15",)), ("sci", ("r-base",))]
    assert taught(answers).as_json() == taught(answers).as_json()


def test_too_sure_an_answer_is_calibrated_down_and_stays_the_choice():
    said = [(4.0, index % 2 == 0) for index in range(200)]
    raw = np.array([[0.98, 0.015, 0.005]])
    found = calibrated(raw, platt(said))
    assert found[0].argmax() == 0
    assert found[0, 0] == pytest.approx(0.5, abs=0.1)


def test_one_blunder_in_twenty_answers_is_no_doubt_of_the_model():
    said = [(4.0, index % 20 != 0) for index in range(200)]
    raw = np.array([[0.982, 0.018]])
    assert calibrated(raw, platt(said))[0, 0] > 0.95


def test_calibration_never_runs_away():
    slope, shift = platt([(6.0, True)] * 300 + [(-2.0, False)] * 3)
    assert 0 < slope < 20
    assert abs(shift) < 20


def test_after_the_first_comes_who_explains_the_rest():
    kin = profile(id="an", name="Analyst", description="Statistics and data analysis")
    personas = (SCIENCE, kin, DATABASE)
    both = machine("r-base", "r-cran-dplyr", "jupyter-notebook", "python3-pandas", "postgresql-15")
    scorer = Scorer(Model(), personas)
    row = scorer.probabilities([both])[0]
    assert {scorer.ids[at] for at in np.argsort(-row[:3])[:2]} == {"sci", "an"}
    assert [scorer.ids[at] for at in in_order(scorer, both, row)][1] == "db"


def test_what_a_persona_says_it_is_not_names_no_trade():
    assert "dns" in affinity("A desktop for the network.")
    assert "dns" not in affinity("A desktop that serves nothing to the network.")
