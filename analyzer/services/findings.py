"""What a scan found, laid into the columns and rows that lists, filters and suggestions read."""

from analyzer.domain.facts import Facts, Running
from analyzer.models import Package, Scan, Service, VirtualMachine
from analyzer.services.machines import resize_record, size_owned
from analyzer.services.recommendations import recommendation_make
from analyzer.services.usage import usage_store_found

BATCH = 2000  # rows of one INSERT; SQLite allows 32,766 variables in a statement


def findings_store(*, scan: Scan, facts: Facts) -> None:
    """Call it inside the transaction that ends the scan: either all of it is there or nothing."""
    vm = scan.vm
    _store_columns(vm, facts)
    vm.packages.all().delete()
    Package.objects.bulk_create(
        (
            Package(
                vm=vm, name=each.name, version=each.version, manager=each.manager, manual=each.on_purpose,
                section=each.section or "",
            )
            for each in facts.packages
        ),
        batch_size=BATCH,
    )  # fmt: skip
    vm.services.all().delete()
    Service.objects.bulk_create(
        (Service(vm=vm, name=each.name, kind=each.kind, enabled=each.enabled) for each in facts.services),
        batch_size=BATCH,
    )
    usage_store_found(vm=vm, facts=facts)
    recommendation_make(scan=scan, facts=facts)


def _store_columns(vm: VirtualMachine, facts: Facts) -> None:
    firmware = {"bios": "bios", "hybrid": vm.firmware or "bios", "uefi": "uefi"}.get(
        facts.boot_mode, vm.firmware
    )
    VirtualMachine.objects.filter(pk=vm.pk).update(
        os_id=facts.os.id, os_version=facts.os.version, hostname=facts.hostname, firmware=firmware
    )
    if facts.running:
        _store_running(vm, facts.running)


def _store_running(vm: VirtualMachine, running: Running) -> None:
    """A running machine knows its size."""
    before = size_owned(vm)
    vm.power_state = "on"
    vm.vcpus, vm.memory_mib = running.vcpus or vm.vcpus, running.memory_mib or vm.memory_mib
    VirtualMachine.objects.filter(pk=vm.pk).update(power_state=vm.power_state, **size_owned(vm))
    resize_record(vm=vm, before=before)
