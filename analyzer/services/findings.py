"""What a scan found, laid into the columns and rows that lists, filters and suggestions read."""

from analyzer.domain.facts import Facts, Running
from analyzer.models import Package, Scan, Service, VirtualMachine
from analyzer.services.recommendations import recommendation_make
from analyzer.services.usage import usage_store_found
from personas.services.audit import record

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
    """A running machine knows its size; a resize is written into the trail, because right-sizing reads it there."""
    told = {"vcpus": running.vcpus or vm.vcpus, "memory_mib": running.memory_mib or vm.memory_mib}
    before = {
        name: getattr(vm, name) for name, value in told.items() if getattr(vm, name) not in (None, value)
    }
    VirtualMachine.objects.filter(pk=vm.pk).update(power_state="on", **told)
    if before:
        after = {name: told[name] for name in before}
        record(by=None, action="virtualmachine.update", obj=vm, before=before, after=after)
