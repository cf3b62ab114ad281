"""The ranking: pure; the same facts always give the same answer, with reasons."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.domain.facts import Coverage, Listening, OperatingSystem, Package, Service
from analyzer.domain.recommend import Candidate, Size, recommend
from analyzer.domain.software_names import Names
from analyzer.domain.usage import Summary
from tests.factories import make_facts, make_package

DATABASE = Candidate(id="db", name="DatabaseAdmin", hints=("postgresql", "mariadb-server", "redis-server"))
WEB = Candidate(id="web", name="WebDev", hints=("nginx", "apache2", "php-fpm"))
SCIENCE = Candidate(id="sci", name="DataScientist", hints=("jupyter-notebook", "pandas", "numpy", "r-base"))
ALL = (DATABASE, WEB, SCIENCE)


def rank(*, candidates=ALL, size=None, usage=None, **areas):
    return recommend(make_facts(**areas), candidates, size=size or Size(), usage=usage or {})


def test_a_database_server_suits_the_database_admin():
    ranking = rank(packages=(make_package("postgresql-15", section="database"),))
    assert ranking.best.name == "DatabaseAdmin"
    assert "postgresql-15: installed on purpose." in ranking.best.speaks_for


def test_a_local_database_under_a_web_server_means_web():
    ranking = rank(
        packages=(make_package("nginx", section="httpd"), make_package("mariadb-server", section="database")),
        services=(Service(name="nginx.service", enabled=True), Service(name="mariadb.service", enabled=True)),
        listening=(
            Listening(port=80, service="nginx"),
            Listening(port=3306, service="mariadb", address="127.0.0.1"),
        ),
    )
    assert ranking.best.name == "WebDev"
    runner_up = ranking.ranked[1]
    assert runner_up.name == "DatabaseAdmin"
    assert "stands behind nginx" in " ".join(runner_up.speaks_for)


def test_a_database_that_others_reach_stays_a_database_beside_a_web_server():
    areas = {
        "packages": (make_package("nginx-light", manual=False), make_package("postgresql-15", section="database")),
        "services": (Service(name="postgresql.service", enabled=True),),
        "listening": (Listening(port=5432, service="postgresql"),),
    }
    assert rank(**areas).best.name == "DatabaseAdmin"


def test_what_was_installed_on_purpose_beats_what_came_along():
    ranking = rank(
        packages=(
            make_package("apache2", manual=False, section="httpd"),
            make_package("python3-pandas", section="python"),
        )
    )
    assert [each.name for each in ranking.ranked[:2]] == ["DataScientist", "WebDev"]


def test_what_came_along_with_its_trade_counts_more():
    alone = rank(packages=(make_package("r-base", manual=False, section="gnu-r"),))
    kin = tuple(make_package(f"r-cran-{n}", section="universe/gnu-r") for n in "abc")
    together = rank(packages=(make_package("r-base", manual=False, section="gnu-r"), *kin))
    assert alone.best is None
    assert together.best.name == "DataScientist"


def test_a_client_is_not_a_server():
    assert rank(packages=(make_package("postgresql-client-15"), make_package("postgresql-doc"))).best is None


def test_an_enabled_service_and_a_port_make_it_surer():
    package = (make_package("nginx", section="httpd"),)
    bare = rank(packages=package).best.score
    service = rank(packages=package, services=(Service(name="nginx.service", enabled=True),)).best.score
    listening = rank(
        packages=package,
        services=(Service(name="nginx.service", enabled=True),),
        listening=(Listening(port=80, service="nginx"),),
    ).best.score
    assert bare < service < listening <= 1


def test_a_disabled_service_says_nothing():
    package = (make_package("nginx", section="httpd"),)
    off = rank(packages=package, services=(Service(name="nginx.service", enabled=False),))
    assert off.best.score == rank(packages=package).best.score


def test_nothing_known_is_no_good_fit_and_says_what_is_there():
    ranking = rank(packages=(make_package("gnuradio", section="hamradio"),))
    assert ranking.best is None
    assert "gnuradio" in ranking.reason
    assert len(ranking.ranked) == 3


def test_unreadable_packages_are_said_to_be_the_reason():
    told = (Coverage(area="packages", state="none", reason="the root file system is encrypted (LUKS)"),)
    assert "LUKS" in rank(coverage=told).reason


def test_no_persona_at_all_is_no_good_fit():
    assert rank(candidates=()).reason == "There is no persona to choose from."


def test_a_sign_that_all_share_tells_them_apart_less():
    both = (Candidate(id="a", name="A", hints=("git", "nginx")), Candidate(id="b", name="B", hints=("git",)))
    ranking = rank(candidates=both, packages=(make_package("git", section="vcs"),))
    assert ranking.ranked[0].score == ranking.ranked[1].score
    assert ranking.best is None
    assert rank(candidates=both[:1], packages=(make_package("git", section="vcs"),)).best.name == "A"


def test_usage_tells_of_size_and_never_changes_the_rank():
    busy = Summary(2000, 1.0, 0, 604800, 60, 60, 95, 99, 100)
    sized = Candidate(id="web", name="WebDev", hints=WEB.hints, vcpus=2, memory_mib=1024, root_disk_gib=1)
    areas = {"packages": (make_package("nginx", section="httpd"),)}
    size = Size(vcpus=8, memory_mib=16384, disk_bytes=20 * 2**30)
    quiet = rank(candidates=(sized, DATABASE), size=size, **areas)
    loud = rank(candidates=(sized, DATABASE), size=size, usage={"cpu_percent": busy}, **areas)
    assert [e.score for e in quiet.ranked] == [e.score for e in loud.ranked]
    told = " ".join(loud.best.speaks_against)
    assert "gives 2 vCPUs" in told
    assert "7.6" in told
    assert "a disk never shrinks" in told


def test_another_distribution_speaks_against():
    strict = Candidate(id="web", name="WebDev", hints=WEB.hints, distribution="debian", distribution_must=True)
    os = OperatingSystem(id="rocky", version="9", like=("rhel", "fedora"))
    nginx = (Package(name="nginx", version="1", manager="rpm", manual=None),)
    here, there = rank(candidates=(strict,), packages=nginx), rank(candidates=(strict,), packages=nginx, os=os)
    assert there.ranked[0].score < here.ranked[0].score
    assert "It requires debian; this machine runs rocky 9." in there.ranked[0].speaks_against


def test_a_driver_set_made_for_a_relative_fits():
    made = Candidate(id="web", name="WebDev", hints=WEB.hints, distributions=frozenset({"debian"}))
    ubuntu = OperatingSystem(id="ubuntu", version="22.04", like=("debian",))
    ranking = rank(candidates=(made,), packages=(make_package("nginx", section="httpd"),), os=ubuntu)
    assert not any("driver set" in told for told in ranking.best.speaks_against)


@given(st.randoms(use_true_random=False))
def test_the_order_of_the_input_never_matters(chance: random.Random):
    packages = [make_package(name) for name in ("nginx", "postgresql-15", "python3-numpy", "vim", "r-base")]
    candidates = list(ALL)
    expected = rank(packages=tuple(packages))
    chance.shuffle(packages)
    chance.shuffle(candidates)
    assert rank(packages=tuple(packages), candidates=tuple(candidates)) == expected


def test_scores_stay_between_nothing_and_one():
    everything = tuple(make_package(hint) for candidate in ALL for hint in candidate.hints)
    services = tuple(Service(name=f"{hint}.service", enabled=True) for hint in DATABASE.hints)
    assert all(0 <= each.score <= 1 for each in rank(packages=everything, services=services).ranked)


def test_fifty_thousand_packages_are_ranked_at_once():
    packages = tuple(make_package(f"lib{n}-perl", manual=False, section="perl") for n in range(49_999))
    many = tuple(Candidate(id=str(n), name=f"P{n}", hints=(f"hint{n}", "nginx")) for n in range(60))
    assert rank(candidates=many, packages=(*packages, make_package("nginx"))).ranked[0].score > 0


@pytest.mark.parametrize(
    ("hint", "name", "means"),
    [
        ("postgresql", "postgresql-15", True),
        ("numpy", "python3-numpy", True),
        ("php-fpm", "php8.2-fpm", True),
        ("php*-fpm", "php8.2-fpm", True),
        ("mariadb-server", "mariadb.service", True),
        ("node", "nodejs", False),
        ("nginx", "nginx-doc", False),
        ("Nginx", "nginx", True),
        ("postgresql", "postgresql@15-main.service", True),
    ],
)
def test_a_hint_means_its_software_and_not_its_neighbours(hint, name, means):
    found = Names([name]).matching(hint)
    assert bool(found and found[0][1] > 0.4) is means
