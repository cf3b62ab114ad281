import pytest

from analyzer.domain.facts import Facts, Filesystem, Kernel, Package, ScanInfo
from migrations_engine.domain.enforcement import enforcement
from migrations_engine.domain.machine import MachineSpec, Rule, SecurityGroup
from migrations_engine.targets.base import TargetInfo
from migrations_engine.targets.qemu.concerns import concerns

SCAN = ScanInfo(duration_ms=1, image_format="raw", virtual_size_bytes=1, allocated_bytes=1)
ROOT = Filesystem(device="p2", kind="ext4", mount_point="/")
INFO = TargetInfo("7.2", "kvm", vcpus=4, memory_mib=4096, free_bytes=10**12, firmwares=("bios",))


def make_facts(**overrides) -> Facts:
    kernel = Kernel(version="6.1", default=True, drivers_module=("virtio_blk", "virtio_net"))
    values = {
        "has_guest_agent": True,
        "has_nft": True,
        "has_tc": True,
        "filesystems": (ROOT,),
        "kernels": (kernel,),
    }
    return Facts(scan=SCAN, **{**values, **overrides})


def make_spec(**overrides) -> MachineSpec:
    return MachineSpec(**{"key": "run-1", "name": "web", "vcpus": 2, "memory_mib": 1024, **overrides})


def enforcer(setting: str, spec: MachineSpec, facts: Facts) -> str:
    return next(row.by for row in enforcement(spec, facts) if row.setting == setting)


GUARDED = make_spec(bandwidth_mbps=100, security_groups=(SecurityGroup("web", (Rule("tcp", 80, 80),)),))


@pytest.mark.parametrize("setting", ["network.bandwidth_mbps", "network.security_groups"])
def test_the_guest_enforces_what_it_has_the_tools_for(setting):
    assert enforcer(setting, GUARDED, make_facts()) == "guest"


@pytest.mark.parametrize(
    ("setting", "lacking"),
    [
        ("network.bandwidth_mbps", {"has_tc": False}),
        ("network.bandwidth_mbps", {"has_guest_agent": False}),
        ("network.security_groups", {"has_nft": False}),
        ("network.security_groups", {"has_guest_agent": False}),
    ],
)
def test_a_setting_that_nobody_enforces_is_a_warning_before_the_run(setting, lacking):
    facts = make_facts(**lacking)
    assert enforcer(setting, GUARDED, facts) == "nobody"
    assert ("warning", setting) in {(each.severity, each.subject) for each in concerns(GUARDED, facts, INFO)}


def test_processors_memory_and_tags_are_the_hypervisors():
    spec = make_spec(tags={"owner": "web"})
    rows = {row.setting: row.by for row in enforcement(spec, make_facts())}
    assert (
        rows["resources.vcpus"]
        == rows["resources.memory_mib"]
        == rows["monitoring_tags.owner"]
        == "hypervisor"
    )


def test_a_machine_that_fits_raises_no_concern():
    assert concerns(make_spec(), make_facts(), INFO) == ()


@pytest.mark.parametrize(
    ("subject", "spec", "facts"),
    [
        ("resources.memory_mib", {"memory_mib": 10**6}, {}),
        ("firmware", {"firmware": "uefi"}, {}),
        ("devices", {"devices": ("quantum-nic",)}, {}),
        ("devices", {"machine": "microvm"}, {}),
        ("storage.bus", {"disk_bus": "sata"}, {}),
    ],
)
def test_what_would_fail_the_run_is_a_critical_concern(subject, spec, facts):
    found = concerns(make_spec(**spec), make_facts(**facts), INFO)
    assert ("critical", subject) in {(each.severity, each.subject) for each in found}


def test_the_driver_is_looked_for_in_the_kernel_that_will_boot():
    old = Kernel(version="2.6", drivers_builtin=("ahci",))
    facts = make_facts(kernels=(*make_facts().kernels, old))
    assert concerns(make_spec(), facts, INFO, kernel="6.1") == ()
    assert any("2.6" in each.text for each in concerns(make_spec(), facts, INFO, kernel="2.6"))


@pytest.mark.parametrize(
    ("lacking", "reason"), [({"packages": ()}, "dpkg"), ({"has_guest_agent": False}, "agent"), ({}, None)]
)
def test_a_kernel_that_cannot_be_installed_is_a_critical_concern(lacking, reason):
    facts = make_facts(**{"packages": (Package(name="dpkg", version="1.21", manager="dpkg"),), **lacking})
    found = [each for each in concerns(make_spec(), facts, INFO, kernel="6.9") if each.subject == "kernel"]
    assert [each.severity for each in found] == (["critical"] if reason else [])
    assert all(reason in each.text for each in found)
