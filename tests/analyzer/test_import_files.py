"""Inventory files: what each tool writes is understood, what is wrong with a row is told beside it."""

import json

import pytest

from analyzer.domain.inventory import FORMATS, GIB, MIB, Unreadable
from analyzer.importers.child import parsed
from analyzer.importers.table import plain, safe
from tests.analyzer.workbooks import VINFO, vinfo, workbook

AZURE = "*Server name,IP addresses,*Cores,*Memory (In MB),*OS name,OS version,"
AZURE += "Boot type,Network adapters,Disk 1 size (In GB),Disk 2 size (In GB)"
ADS = "ExternalId,HostName,MACAddress,VMware.VMName,CPU.NumberOfCores,"
ADS += "CPU.NumberOfLogicalCores,OS.Name,OS.Version,RAM.TotalSizeInMB,Tags"
MGN = "mgn:wave:name,mgn:app:name,mgn:server:user-provided-id,mgn:server:platform,"
MGN += "mgn:server:tag:Name,mgn:server:tag:Owner"
OWN = "external_id,name,vcpus,memory_mib,disks_gib,macs,networks,os,os_version,power_state,firmware,tags"


def csv(*lines: str) -> bytes:
    return "\r\n".join(lines).encode()


def only(data: bytes):
    found = parsed(data)
    assert not found.errors
    (machine,) = found.machines
    return machine


def told(data: bytes) -> list[tuple[int, str, str]]:
    return [(each.row, each.field, each.message) for each in parsed(data).errors]


def test_rvtools_joins_its_tabs_by_the_machine_and_not_by_its_name():
    disks = [
        ["VM", "Capacity MiB", "VM UUID"],
        ["web01", 2048, "5000-b"],
        ["web01", 1024, "5000-a"],
        ["web01", 512, "5000-a"],
    ]
    cards = [["VM", "Network", "Mac Address", "VM UUID"], ["web01", "dmz", "00:50:56:AA:00:01", "5000-a"]]
    rows = [VINFO, vinfo("web01", VM_UUID="5000-A"), vinfo("web01", VM_UUID="5000-b")]
    found = parsed(workbook({"vInfo": rows, "vDisk": disks, "vNetwork": cards}))
    assert found.format == "rvtools"
    assert [each.disks for each in found.machines] == [(1024 * MIB, 512 * MIB), (2048 * MIB,)]
    first = found.machines[0]
    assert (first.nics[0].mac, first.nics[0].network) == ("00:50:56:aa:00:01", "dmz")
    assert (first.vcpus, first.memory_mib, first.power_state, first.firmware) == (4, 8192, "on", "uefi")
    assert (first.os_id, first.os_version, first.hostname) == ("debian", "12", "web01.example")


def test_rvtools_of_old_releases_says_mb_and_means_the_same():
    old = ["VM", "Powerstate", "Template", "#CPUs", "Memory MB", "VM ID", "VI SDK Server"]
    disks = [["VM", "Capacity MB"], ["db", 10240]]
    machine = only(
        workbook(
            {"tabvInfo": [old, ["db", "poweredOff", 0, 2, 4096, "vm-7", "vc.example"]], "tabvDisk": disks}
        )
    )
    assert (machine.external_id, machine.vcpus, machine.memory_mib) == ("vc.example/vm-7", 2, 4096)
    assert (machine.disks, machine.power_state) == ((10 * GIB,), "off")


def test_rvtools_disks_are_not_given_to_one_of_two_machines_of_a_name():
    rows = [VINFO, vinfo("twin", VM_UUID="a"), vinfo("twin", VM_UUID="b")]
    found = parsed(workbook({"vInfo": rows, "vDisk": [["VM", "Capacity MiB"], ["twin", 1024]]}))
    assert [each.disks for each in found.machines] == [(), ()]


def test_rvtools_leaves_templates_and_placeholders_out():
    rows = [
        VINFO,
        vinfo("golden", Template="True"),
        vinfo("recovery", SRM_Placeholder="True"),
        vinfo("web01"),
    ]
    found = parsed(workbook({"vInfo": rows}))
    assert [each.name for each in found.machines] == ["web01"]
    assert [(each.row, each.message) for each in found.left_out] == [
        (2, "golden is a template"),
        (3, "recovery is a placeholder of a recovery site"),
    ]


def test_a_sheet_that_claims_a_million_rows_has_as_many_as_it_has():
    rows = [VINFO, *(vinfo(f"vm{number}") for number in range(9))]
    found = parsed(workbook({"vInfo": rows}, dimension="A1:XFD1048576"))
    assert len(found.machines) == 9


def test_a_bad_row_is_told_and_the_others_are_taken():
    rows = [
        VINFO,
        vinfo("good"),
        vinfo("half", CPUs=2.5),
        vinfo("", VM_UUID="u"),
        vinfo("nobody", VM_ID="", VM_UUID=""),
        vinfo("wide", Memory="lots"),
        vinfo("again", VM_UUID="5000-good"),
        vinfo("zero", CPUs=0),
    ]
    data = workbook({"vInfo": rows})
    assert [each.name for each in parsed(data).machines] == ["good"]
    assert told(data) == [
        (3, "vcpus", "2.5 is not a whole number"),
        (4, "name", "is missing"),
        (5, "external_id", "is missing"),
        (6, "memory_mib", "“lots” is not a number"),
        (7, "external_id", "is the same as in row 2: 5000-good"),
        (8, "vcpus", "Input should be greater than or equal to 1"),
    ]


def test_a_disk_without_a_size_that_means_something_is_told_beside_its_machine():
    disks = [["VM", "Capacity MiB"], ["web01", "big"]]
    assert told(workbook({"vInfo": [VINFO, vinfo("web01")], "vDisk": disks})) == [
        (2, "disks", "“big” is not a number")
    ]


def test_azure_migrate():
    machine = only(
        csv(AZURE, 'fin-db01,10.9.0.10;10.9.0.11,8,"65,536",Windows Server 2019 Datacenter,,UEFI,2,500,40')
    )
    assert (machine.external_id, machine.vcpus, machine.memory_mib) == ("name:fin-db01", 8, 65536)
    assert (machine.disks, len(machine.nics), machine.firmware) == ((500 * GIB, 40 * GIB), 2, "uefi")
    assert (machine.os_id, machine.os_version) == ("windows", "2019")
    assert machine.tags == {"addresses": "10.9.0.10;10.9.0.11"}


def test_aws_application_discovery_counts_logical_cores():
    line = 'INV-1,pay01.corp,"00:1B:44:11:3A:B7, 00:1B:44:11:3A:B8",PAY,8,16,Ubuntu,22.04,64128,"zone:1, critical:yes"'
    machine = only(csv(ADS, line))
    assert (machine.external_id, machine.name, machine.vcpus, machine.memory_mib) == (
        "INV-1",
        "PAY",
        16,
        64128,
    )
    assert [nic.mac for nic in machine.nics] == ["00:1b:44:11:3a:b7", "00:1b:44:11:3a:b8"]
    assert (machine.os_id, machine.os_version, machine.tags) == (
        "ubuntu",
        "22.04",
        {"zone": "1", "critical": "yes"},
    )


def test_mgn():
    machine = only(csv(MGN, "Wave 3,Payments,pay-app02,LINUX,Pay 2,Ann"))
    assert (machine.external_id, machine.name, machine.os_id) == ("pay-app02", "Pay 2", "linux")
    assert machine.tags == {"Owner": "Ann", "application": "Payments", "wave": "Wave 3"}


@pytest.mark.parametrize("separator", [",", "\t"])
def test_our_own_file_with_the_separator_that_the_spreadsheet_likes(separator):
    line = "id-1,web01,2,4096,20;0.5,00:50:56:aa:00:01,dmz;lan,debian,12,on,bios,owner=ann;tier=1"
    machine = only(csv(OWN.replace(",", separator), line.replace(",", separator)))
    assert machine.disks == (20 * GIB, GIB // 2)
    assert [(nic.mac, nic.network) for nic in machine.nics] == [("00:50:56:aa:00:01", "dmz"), ("", "lan")]
    assert (machine.power_state, machine.firmware, machine.tags) == (
        "on",
        "bios",
        {"owner": "ann", "tier": "1"},
    )


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_names_survive_the_encodings_of_spreadsheets(encoding):
    assert only("external_id,name,vcpus\n1,Köln-Büro,2\n".encode(encoding)).name == "Köln-Büro"


def host(**facts) -> dict:
    usual = {
        "hostname": "web01",
        "fqdn": "web01.example",
        "product_uuid": "4C4C4544-0042",
        "processor_vcpus": 2,
        "memtotal_mb": 3936,
        "distribution": "Debian",
        "distribution_version": "12",
        "devices": {"sda": {"sectors": "41943040"}, "loop0": {"sectors": "100"}, "sr0": {"sectors": "7"}},
        "interfaces": ["lo", "ens-3", "docker0"],
        "lo": {"type": "loopback"},
        "ens_3": {"type": "ether", "macaddress": "52:54:00:00:00:01"},
        "docker0": {"type": "bridge", "macaddress": "02:42:00:00:00:01"},
    }
    return {"ansible_facts": {f"ansible_{key}": value for key, value in (usual | facts).items()}}


def test_ansible_facts_of_one_host_a_list_and_a_map():
    machine = only(json.dumps(host()).encode())
    assert (machine.external_id, machine.name, machine.hostname) == (
        "4c4c4544-0042",
        "web01",
        "web01.example",
    )
    assert (machine.disks, machine.nics[0].mac, len(machine.nics)) == ((20 * GIB,), "52:54:00:00:00:01", 1)
    assert (machine.vcpus, machine.memory_mib, machine.os_id, machine.os_version) == (2, 3936, "debian", "12")
    second = host(product_uuid="NA", machine_id="abc")
    assert [each.external_id for each in parsed(json.dumps([host(), second]).encode()).machines] == [
        "4c4c4544-0042",
        "abc",
    ]
    found = parsed(json.dumps({"alpha": host(), "beta": {"unreachable": True}}).encode())
    assert [each.name for each in found.machines] == ["alpha"]
    assert [(each.row, each.message) for each in found.errors] == [
        (2, "holds no facts (was the host unreachable?)")
    ]


@pytest.mark.parametrize(
    "data",
    [b"{", b"[]", b'{"a": 1}', b"[" * 100_000, b"name;colour\n1;2\n", b"PK\x03\x04", b"\xd0\xcf\x11\xe0"],
)
def test_what_is_no_inventory_is_refused_in_words(data):
    with pytest.raises(Unreadable) as refused:
        parsed(data)
    assert str(refused.value)


def test_names_that_cannot_be_shown_are_written_out():
    line = "1,web\0\u202egpj.exe,2"
    assert only(csv("external_id,name,vcpus", line)).name == r"web\x00\u202egpj.exe"
    hebrew = "שרת-דואר"
    assert only(csv("external_id,name,vcpus", f"1,{hebrew},2")).name == hebrew


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "web01", "", "'quoted", "a=b"])
def test_a_cell_is_never_a_formula_and_comes_back_as_it_was(text):
    assert not safe(text).startswith(("=", "+", "-", "@", "\t", "\r"))
    assert plain(safe(text)) == text


def test_every_format_has_a_name():
    assert set(FORMATS) == {"rvtools", "azure_migrate", "aws_discovery", "mgn", "ansible", "csv"}
