"""A persona drafted from a machine: pure."""

from analyzer.domain.facts import Listening, OperatingSystem, Package, Service
from analyzer.domain.persona_draft import persona_draft
from analyzer.domain.recommend import Size
from analyzer.domain.usage import Summary
from personas.domain.settings import validate_document
from tests.factories import make_facts, make_package


def draft(*, size=None, usage=None, **areas):
    return persona_draft(make_facts(**areas), name="web01", size=size or Size(), usage=usage or {})


def test_what_runs_and_what_has_a_trade_is_taken_and_the_rest_left():
    told = draft(
        packages=(
            make_package("zsh", section="shells"),
            make_package("r-base", section="gnu-r"),
            make_package("nginx-light", section="httpd"),
            make_package("libpcre3", section="libs"),
            make_package("linux-image-amd64", section="kernel"),
            make_package("perl", manual=False, section="perl"),
        ),
        services=(Service(name="nginx.service", enabled=True),),
    )
    assert told["hints"] == ["nginx-light", "r-base"]
    assert told["settings"]["packages"] == ["nginx-light", "r-base"]
    assert told["settings"]["acceptance_checks"] == [{"kind": "systemd_unit", "unit": "nginx.service"}]


def test_what_every_system_has_was_not_asked_for():
    base = Package(name="bsdutils", version="1", manager="dpkg", manual=True, section="utils", priority="required")
    assert draft(packages=(base,))["hints"] == []


def test_ports_that_others_reach_become_checks_and_remote_access_does_not():
    told = draft(
        listening=(
            Listening(port=22, service="ssh"),
            Listening(port=443, service="nginx"),
            Listening(port=5432, service="postgresql", address="127.0.0.1"),
            Listening(port=53, protocol="udp", service="bind9"),
        )
    )
    assert told["settings"]["acceptance_checks"] == [{"kind": "tcp", "port": 443}]


def test_the_size_is_kept_unless_enough_was_measured():
    size = Size(vcpus=8, memory_mib=16384, disk_bytes=10 * 2**30 + 1)
    assert draft(size=size)["settings"]["resources"] == {"vcpus": 8, "memory_mib": 16384, "root_disk_gib": 11}
    week = Summary(2016, 1.0, 0, 7 * 86400, 10, 10, 20, 25, 30)
    hour = Summary(12, 1.0, 0, 3600, 10, 10, 20, 25, 30)
    sized = draft(size=size, usage={"cpu_percent": week, "memory_percent": week})["settings"]["resources"]
    assert sized == {"vcpus": 3, "memory_mib": 4352, "root_disk_gib": 11}
    assert draft(size=size, usage={"cpu_percent": hour})["settings"]["resources"]["vcpus"] == 8


def test_a_busy_machine_is_never_made_larger_than_it_is():
    full = Summary(2016, 1.0, 0, 7 * 86400, 90, 95, 100, 100, 100)
    size = Size(vcpus=2, memory_mib=2048)
    assert draft(size=size, usage={"cpu_percent": full})["settings"]["resources"]["vcpus"] == 2


def test_what_a_hostile_disk_says_never_breaks_the_vocabulary():
    told = draft(
        os=OperatingSystem(id="<Debian>", version="; rm -rf /"),
        packages=(make_package("nginx; reboot", section="httpd"), make_package("-o", section="httpd")),
        services=(Service(name="a b.service", enabled=True), Service(name="getty@tty1.service", enabled=True)),
    )
    assert "distribution" not in told["settings"]
    assert told["hints"] == []
    validate_document(told["settings"])
