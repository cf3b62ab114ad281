"""The document of a machine for libvirt: exactly so, accepted by libvirt's own schema and its test driver."""

import subprocess
from dataclasses import replace

import pytest

from analyzer.sources.libvirt.xml import read_xml
from migrations_engine.domain.enforcement import Network, enforcement
from migrations_engine.domain.machine import MachineSpec, Rule, SecurityGroup
from migrations_engine.targets.base import SpecRefused
from migrations_engine.targets.libvirt.domain import Layout, Volume, domain_name, domain_xml
from migrations_engine.targets.libvirt.filters import filter_xml, told
from migrations_engine.targets.libvirt.marks import element, key_of_volume, mark_of, parse_mark, volume_name
from tests.migrations_engine.test_enforcement import make_facts

KEY = "1a2b3c4d-0000-4000-8000-000000000001"
GROUPS = (SecurityGroup("web", (Rule("tcp", 80, 80), Rule("icmp"), Rule("udp", 53, 54, "10.1.0.0/16", "egress"))),)
SPEC = MachineSpec(
    KEY, "web 01", 2, 512, bandwidth_mbps=100, security_groups=GROUPS, tags={"team": "<web>"},
    personas=("WebDev",), devices=("virtio-rng",), data_disks=1,
)  # fmt: skip
LAYOUT = Layout(
    "tcg", "default", (Volume("mp-x.disk0.qcow2", "qcow2"), Volume("mp-x.disk1.raw", "raw")), "/pool/console.log",
    network="lan", seed="mp-x.seed.iso", filter="mp-x",
)  # fmt: skip
GOLDEN = """\
<domain xmlns:migration-personas="urn:migration-personas:machine:1" type="qemu">
  <name>web-01-1a2b3c4d</name>
  <uuid>1a2b3c4d-0000-4000-8000-000000000001</uuid>
  <metadata>
    <migration-personas:machine run="1a2b3c4d-0000-4000-8000-000000000001" name="web 01">
      <migration-personas:persona>WebDev</migration-personas:persona>
      <migration-personas:tag name="team">&lt;web&gt;</migration-personas:tag>
    </migration-personas:machine>
  </metadata>
  <memory unit="MiB">512</memory>
  <vcpu>2</vcpu>
  <os>
    <type arch="x86_64" machine="q35">hvm</type>
  </os>
  <features>
    <acpi />
    <apic />
  </features>
  <cpu mode="maximum" />
  <on_crash>destroy</on_crash>
  <devices>
    <controller type="usb" model="none" />
    <disk type="volume" device="disk">
      <driver name="qemu" type="qcow2" cache="writeback" discard="unmap" />
      <source pool="default" volume="mp-x.disk0.qcow2" />
      <target dev="vda" bus="virtio" />
      <serial>disk0</serial>
      <boot order="1" />
    </disk>
    <disk type="volume" device="disk">
      <driver name="qemu" type="raw" cache="writeback" discard="unmap" />
      <source pool="default" volume="mp-x.disk1.raw" />
      <target dev="vdb" bus="virtio" />
      <serial>disk1</serial>
    </disk>
    <disk type="volume" device="disk">
      <driver name="qemu" type="raw" cache="writeback" discard="unmap" />
      <source pool="default" volume="mp-x.seed.iso" />
      <target dev="vdc" bus="virtio" />
      <readonly />
      <serial>seed</serial>
    </disk>
    <interface type="network">
      <mac address="52:54:00:3a:a2:5e" />
      <source network="lan" />
      <model type="virtio" />
      <filterref filter="mp-x" />
      <bandwidth>
        <inbound average="12500" />
        <outbound average="12500" />
      </bandwidth>
    </interface>
    <serial type="file">
      <source path="/pool/console.log" append="on" />
      <target port="0" />
    </serial>
    <channel type="unix">
      <target type="virtio" name="org.qemu.guest_agent.0" />
    </channel>
    <rng model="virtio">
      <backend model="random">/dev/urandom</backend>
    </rng>
    <memballoon model="none" />
  </devices>
</domain>"""
VARIANTS = [
    (SPEC, LAYOUT),
    (replace(SPEC, firmware="uefi", disk_bus="sata", nic_model="e1000e"), replace(LAYOUT, accelerator="kvm")),
    (replace(SPEC, machine="pc", disk_bus="scsi", devices=("watchdog", "virtio-balloon")), replace(LAYOUT, network="")),
    (replace(SPEC, isolated=True, key="no-uuid"), replace(LAYOUT, seed="", filter="")),
]


def test_machine_is_described_exactly_so():
    assert domain_xml(SPEC, LAYOUT) == GOLDEN


@pytest.mark.parametrize(("spec", "layout"), VARIANTS)
def test_document_passes_libvirts_schema_and_its_test_driver(spec, layout):
    document = domain_xml(spec, layout).replace('type="qemu"', 'type="kvm"', 1)  # the driver knows no emulation
    virsh("define", "--validate", "/dev/stdin", text=document)


def test_filter_means_what_the_groups_say():
    rules = told(read_xml(filter_xml(KEY, GROUPS)))
    assert ("accept", "in", "500", "tcp", ("dstportend", "80"), ("dstportstart", "80")) in rules
    assert ("accept", "in", "500", "tcp-ipv6", ("dstportend", "80"), ("dstportstart", "80")) in rules
    assert ("accept", "in", "500", "icmpv6") in rules
    ports = (("dstipaddr", "10.1.0.0"), ("dstportend", "54"), ("dstportstart", "53"))
    assert ("accept", "out", "500", "udp", *ports) in rules
    assert rules[-2:] == [("drop", "inout", "1000", "all"), ("drop", "inout", "1000", "all-ipv6")]


def test_sending_is_free_until_a_group_says_otherwise():
    rules = told(read_xml(filter_xml(KEY, (SecurityGroup("v6", (Rule("any", cidr="2001:db8::/32"),)),))))
    assert ("accept", "in", "500", "all-ipv6", ("srcipaddr", "2001:db8::")) in rules
    assert ("accept", "out", "500", "all") in rules
    assert {rule[1] for rule in rules if rule[0] == "drop"} == {"in"}


def test_mark_is_read_as_it_was_written():
    mark = mark_of(SPEC)
    assert parse_mark(element(mark)) == parse_mark(element(mark, namespace="")) == mark
    assert parse_mark(read_xml("<other run='x'/>")) is None


def test_volume_tells_whose_it_is():
    assert key_of_volume(volume_name("a", "disk0", "qcow2")) == "a"
    assert key_of_volume(volume_name("a-disk0", "console", "log") + ".0") == "a-disk0"  # a log that was rotated
    assert key_of_volume("web01.qcow2") is None
    assert key_of_volume("mp-a.disk0.qcow2.bak") is None


def test_name_is_one_that_libvirt_takes_and_is_of_this_run():
    assert domain_name(replace(SPEC, name="-/ö\n.x")) == "ö-.x-1a2b3c4d"
    assert domain_name(replace(SPEC, name="///")) == "machine-1a2b3c4d"


@pytest.mark.parametrize(
    "wrong", [{"machine": "microvm"}, {"nic_model": "ne2k"}, {"devices": ("tpm",)}, {"disk_bus": "ide"}]
)
def test_what_libvirt_cannot_be_asked_for_is_refused(wrong):
    with pytest.raises(SpecRefused, match=next(iter(wrong))):
        domain_xml(replace(SPEC, **wrong), LAYOUT)


def test_card_is_limited_where_a_trial_saw_it_and_else_in_the_guest():
    seen = Network("the network lan", limits=True, filters=True)
    rows = {row.setting: row.by for row in enforcement(SPEC, make_facts(), seen)}
    assert rows["network.bandwidth_mbps"] == rows["network.security_groups"] == "hypervisor"
    rows = {row.setting: row.by for row in enforcement(SPEC, make_facts(), Network("the network lan"))}
    assert rows["network.bandwidth_mbps"] == rows["network.security_groups"] == "guest"


def virsh(*words: str, text: str) -> None:
    command = ["virsh", "--quiet", "--connect", "test:///default", *words]
    ended = subprocess.run(command, input=text, text=True, capture_output=True, check=False)
    assert ended.returncode == 0, ended.stderr
