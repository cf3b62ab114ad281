import pytest

from analyzer.domain.facts import Nic
from migrations_engine.domain import blueprint, disk_bus
from migrations_engine.domain.eta import eta_s
from migrations_engine.domain.kernels import KernelChoice
from migrations_engine.domain.machine import GIB, Rule, SecurityGroup
from tests.migrations_engine.estate import facts

KEEP = KernelChoice("keep", None, "6.1.0-1-amd64")


def spec(settings, facts_found=None, groups=(), **source):
    return blueprint.machine_spec(settings, key="k", name="web01", facts=facts_found, groups=groups, **source)


def test_source_decides_what_nobody_says():
    assert (spec({}, vcpus=3, memory_mib=2048).vcpus, spec({}, vcpus=3, memory_mib=2048).memory_mib) == (
        3,
        2048,
    )
    assert spec({"resources": {"vcpus": 8}}, vcpus=3).vcpus == 8


def test_driver_sets_devices_win_over_the_bus():
    made = spec(
        {
            "storage": {"bus": "virtio"},
            "devices": {"disk": "ide-hd", "nic": "e1000e", "rng": "virtio-rng-pci"},
        }
    )
    assert (made.disk_bus, made.nic_model, made.devices) == ("sata", "e1000e", ("virtio-rng",))


LAYERS = ("system", "template:T@1", "persona:A@2")


@pytest.mark.parametrize(
    ("bus_by", "device_by", "bus", "told"),
    [
        ("system", "driver set x via template:T@1", "sata", False),
        ("persona:A@2", "driver set x via template:T@1", "virtio", True),
        ("template:T@1", "driver set x via persona:A@2", "sata", True),
        ("persona:A@2", "driver set x via persona:A@2", "virtio", True),
        ("persona:A@2", "persona:A@2", "sata", True),
    ],
)
def test_bus_and_device_that_contradict_are_decided_by_their_layers(bus_by, device_by, bus, told):
    settings = {"storage": {"bus": "virtio"}, "devices": {"disk": "ide-hd"}}
    origin = [{"path": "storage.bus", "layer": bus_by}, {"path": "devices.disk", "layer": device_by}]
    found = disk_bus.choose(settings, origin=origin, layers=LAYERS)
    assert found.bus == bus
    assert bool(found.reason) == told


def test_bus_and_device_that_agree_say_nothing():
    agreed = {"storage": {"bus": "scsi"}, "devices": {"disk": "virtio-scsi-pci"}}
    assert disk_bus.choose(agreed) == disk_bus.BusChoice("scsi")
    assert disk_bus.choose({"storage": {"bus": "sata"}}) == disk_bus.BusChoice("sata")
    assert disk_bus.choose({}) == disk_bus.BusChoice("virtio")


def test_firmware_keeps_what_the_disk_boots_with():
    assert spec({"firmware": "keep"}, facts(boot_mode="uefi")).firmware == "uefi"
    assert spec({"firmware": "keep"}, facts(boot_mode="hybrid")).firmware == "bios"
    assert spec({"firmware": "uefi"}, facts()).firmware == "uefi"


def test_ports_of_checks_and_groups_are_forwarded_once():
    checks = [
        {"kind": "tcp", "port": 5432},
        {"kind": "http", "port": 80},
        {"kind": "systemd_unit", "unit": "x"},
    ]
    group = SecurityGroup(
        "web", (Rule("tcp", 80, 80), Rule("tcp", 22, 22), Rule("tcp", 1000, 2000), Rule("udp", 53, 53))
    )
    assert [f.guest_port for f in blueprint.forwards(checks, [group])] == [5432, 80, 22]


def test_disk_never_shrinks():
    assert blueprint.root_disk_bytes({"resources": {"root_disk_gib": 2}}, source_bytes=4 * GIB) == 4 * GIB
    assert blueprint.root_disk_bytes({"resources": {"root_disk_gib": 8}}, source_bytes=4 * GIB) == 8 * GIB


def test_module_that_is_known_to_be_missing_is_not_loaded():
    boot = blueprint.first_boot(
        {"kernel_modules": ["virtio_net", "virtio_gpu", "zram"]}, facts=facts(), kernel=KEEP
    )
    assert boot.kernel_modules == ("virtio_net", "zram")


def test_only_card_keeps_its_name():
    one = blueprint.first_boot({}, facts=facts(nics=(Nic(name="ens3"),)), kernel=KEEP)
    two = blueprint.first_boot({}, facts=facts(nics=(Nic(name="ens3"), Nic(name="ens4"))), kernel=KEEP)
    pattern = blueprint.first_boot({}, facts=facts(nics=(Nic(name="en*"),)), kernel=KEEP)
    assert (one.nic_name, two.nic_name, pattern.nic_name) == ("ens3", None, None)


def test_kernel_is_set_only_where_it_changes():
    assert blueprint.first_boot({}, facts=facts(), kernel=KEEP).kernel is None
    switch = KernelChoice("switch", "6.1.0-2-amd64", "6.1.0-1-amd64")
    assert blueprint.first_boot({}, facts=facts(), kernel=switch).kernel == "6.1.0-2-amd64"


def test_eta_is_the_mean_rate_or_nothing():
    assert eta_s(25, 100, 10) == 30
    assert eta_s(100, 100, 10) == 0
    assert eta_s(0, 100, 10) is None
    assert eta_s(50, 0, 10) is None
    assert eta_s(50, 100, 0.1) is None
