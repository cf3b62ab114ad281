"""What software is for, whatever the distribution calls it; and what means nothing by itself."""

import pytest

from analyzer.domain.facts import Directory, Extras, Listening, Package, Service
from analyzer.domain.software import CAME_ALONG, head, meaning, workload
from tests.factories import make_facts, make_package

BASE_OF_DEBIAN = """adduser apt bash coreutils cron dbus dpkg grub-pc init less libc6 linux-image-amd64 locales man-db
openssh-server perl python3 sudo systemd tzdata vim-tiny""".split()


def trades_of(**areas):
    return workload(make_facts(**areas)).evidence


def strongest(**areas):
    found = trades_of(**areas)
    return max(found, key=found.get)


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("postgresql-15", "postgresql"),
        ("php8.2-fpm", "php-fpm"),
        ("python3.11", "python"),
        ("rh-nginx120-nginx", "nginx"),
        ("postgresql@15-main.service", "postgresql"),
        ("bind:amd64", "bind"),
        ("389-ds-base", "389-ds-base"),
    ],
)
def test_a_name_is_brought_to_its_head(name, plain):
    assert head(name) == plain


@pytest.mark.parametrize(
    ("debian", "fedora"),
    [
        ("apache2", "httpd"),
        ("bind9", "bind"),
        ("slapd", "openldap-servers"),
        ("postgresql-15", "postgresql-server"),
        ("r-base", "R-core"),
        ("nfs-kernel-server", "nfs-ganesha"),
        ("mariadb-server", "mariadb-server"),
        ("isc-dhcp-server", "dhcp-server"),
        ("r-cran-sf", "R-sf"),
        ("passenger", "rubygem-passenger"),
    ],
)
def test_two_distributions_mean_the_same_trade(debian, fedora):
    def first(name):
        return max(meaning(name)[0], key=lambda pair: pair[1])[0]

    assert first(debian) == first(fedora)


@pytest.mark.parametrize(
    "name", ["libxcb1", "gcc-12-base", "fcitx-table-wubi", "node-minimist", "isc-dhcp-client"]
)
def test_what_comes_along_on_any_machine_means_little(name):
    assert sum(weight for _, weight in meaning(name)[0]) <= 0.3


def test_documents_and_headers_are_not_the_program():
    of = dict(meaning("nginx")[0])["web"]
    assert dict(meaning("nginx-doc")[0]).get("web", 0) < of / 3
    assert "development" in dict(meaning("libgdal-dev")[0])


def test_a_bare_system_is_for_nothing():
    packages = tuple(
        make_package(name, manual=name in ("grub-pc", "locales", "sudo")) for name in BASE_OF_DEBIAN
    )
    assert sum(trades_of(packages=packages).values()) < 0.5


def test_what_is_on_purpose_says_more_than_what_came_along():
    packages = (
        make_package("slapd"),
        make_package("nginx", manual=False),
        make_package("mariadb-server", manual=False),
    )
    assert strongest(packages=packages) == "identity"


def test_a_manager_that_does_not_tell_the_purpose_is_understood_all_the_same():
    names = "bash glibc httpd php-fpm mariadb-server systemd postfix vim-minimal".split()
    packages = tuple(Package(name=name, version="1", manager="rpm", manual=None) for name in names)
    assert strongest(packages=packages) == "web"


def test_a_local_database_stands_behind_the_web():
    alone = trades_of(packages=(make_package("postgresql-15"),))
    behind = trades_of(
        packages=(make_package("postgresql-15"), make_package("nginx"), make_package("php8.2-fpm"))
    )
    assert behind["database"] < alone["database"] * 0.6
    assert max(behind, key=behind.get) == "web"


def test_thirty_parts_of_one_suite_are_one_suite():
    suite = tuple(make_package(f"libreoffice-{part}") for part in "abcdefghijklmnop")
    assert strongest(packages=(*suite, make_package("iverilog"), make_package("gtkwave"))) == "eda"


def test_services_and_ports_speak_where_no_package_does():
    assert strongest(services=(Service(name="prometheus.service", enabled=True),)) == "monitoring"
    assert strongest(listening=(Listening(port=5432, service="postgresql"),)) == "database"
    assert not trades_of(listening=(Listening(port=5432, service="postgresql", address="127.0.0.1"),))
    assert not trades_of(services=(Service(name="prometheus.service", enabled=False),))


def test_what_lies_beside_the_packages_is_looked_at():
    extras = Extras(
        directories=(Directory(path="/opt/jenkins", entries=3), Directory(path="/opt/acme", entries=9))
    )
    found = workload(make_facts(extras=extras))
    assert max(found.evidence, key=found.evidence.get) == "ci"
    assert found.beside_packages == ("/opt/acme",)
    compose = Extras(compose_files=("/srv/app/compose.yaml",))
    assert strongest(extras=compose) == "container"


def test_purposeful_software_of_unknown_meaning_is_named():
    found = workload(
        make_facts(packages=(make_package("acme-billing"), make_package("libacme1", manual=False)))
    )
    assert found.unexplained == ("acme-billing",)
    assert not found.evidence


def untold(*names):
    return workload(make_facts(packages=tuple(make_package(name, manual=None) for name in names)))


def test_without_the_word_of_a_package_manager_what_nothing_brings_was_asked_for():
    machine = untold(
        "gromacs", "gromacs-data", "libapache2-mod-php", "apache2", "apache2-bin", *BASE_OF_DEBIAN
    )
    asked = {sign.name for sign in machine.signs if sign.weight > CAME_ALONG}
    assert asked == {"libapache2-mod-php", "gromacs"}


def test_what_a_front_end_brings_came_along_on_fedora_too():
    found = untold("nagios", "httpd", "httpd-core", "php").evidence
    assert max(found, key=found.get) == "monitoring"


def test_a_library_of_bioconductor_is_known_by_its_fedora_name():
    assert dict(meaning("R-limma")[0]) == dict(meaning("r-bioc-limma")[0])
