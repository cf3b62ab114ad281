"""virsh as a library: libvirt's built-in test hypervisor answers as a real one does, hostile documents are refused."""

import pytest

from analyzer.domain.libvirt_address import parse_libvirt_address
from analyzer.sources.base import Refused
from analyzer.sources.libvirt.connection import Failed, connected
from analyzer.sources.libvirt.xml import MOST_ELEMENTS, read_xml

NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def hypervisor():
    with connected(parse_libvirt_address("test:///default")) as hypervisor:
        yield hypervisor


def test_answers_are_text_or_documents(hypervisor):
    (uuid,) = hypervisor.ask("list", "--all", "--uuid").split()
    domain = hypervisor.xml("dumpxml", uuid)
    assert domain.findtext("name") == "test"
    assert hypervisor.ask("domstate", uuid) == "running"


def test_a_machine_that_is_not_there_is_told_so(hypervisor):
    with pytest.raises(Failed) as refused:
        hypervisor.ask("domstate", NOBODY)
    assert refused.value.kind == "gone"
    assert "domstate" in str(refused.value)


def test_a_hypervisor_that_does_not_run_is_unreachable(tmp_path):
    address = parse_libvirt_address(f"qemu+unix:///system?socket={tmp_path}/none")
    with connected(address) as hypervisor, pytest.raises(Failed) as refused:
        hypervisor.ask("list")
    assert refused.value.kind == "unreachable"


def test_a_question_has_a_time_limit(hypervisor):
    with pytest.raises(Failed) as refused:
        hypervisor.ask("event", "--all", "--loop", timeout_s=0.3)
    assert refused.value.kind == "timeout"


def test_a_remote_hypervisor_wants_a_login():
    with (
        pytest.raises(Refused, match="log in"),
        connected(parse_libvirt_address("qemu+ssh://host/system")),
    ):
        pass


def test_documents_are_read_as_elementtree_reads_them():
    root = read_xml('<d xmlns:q="u:x"><q:a k="1">te&amp;xt</q:a></d>')
    assert root.find("{u:x}a").text == "te&xt"
    assert root.find("{u:x}a").get("k") == "1"


@pytest.mark.parametrize(
    "text",
    [
        '<!DOCTYPE d [<!ENTITY a "b">]><d>&a;</d>',
        '<!DOCTYPE d SYSTEM "file:///etc/passwd"><d/>',
        "<d>" * 100 + "</d>" * 100,
        "<d>" + "<a/>" * (MOST_ELEMENTS + 1) + "</d>",
        "<d>",
        "no document",
        "",
    ],
)
def test_hostile_documents_are_refused(text):
    with pytest.raises(ValueError):
        read_xml(text)
