"""Inventory files: read, looked at, taken. A machine is known by its external id: the same file twice is once.

    upload = inventory_preview(source=source, data=data, file_name="export.xlsx", by=user)   # writes no machine
    changes_of(upload.source, content_of(upload))                                            # what it would do
    inventory_confirm(upload=upload, by=user)                                                # does it

or `inventory_import(source=…, data=…, by=…)` in one go.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from analyzer.domain.inventory import GIB, ImportedMachine, Inventory, RowError, Unreadable
from analyzer.domain.printable import printable
from analyzer.importers.read import read_inventory
from analyzer.models import Disk, InventoryUpload, Nic, SourceEndpoint, VirtualMachine
from analyzer.scanner.sandbox import SandboxUnavailable
from analyzer.services.machines import resize_record, size_owned
from personas.errors import BadInput, Refused
from personas.models import Role
from personas.services.access import require
from personas.services.audit import record

BATCH = 500  # rows of one statement; SQLite takes 32,766 parameters
MAX_TOLD = 200  # rows left out that the source's report keeps
COLUMNS = (
    "name", "power_state", "firmware", "vcpus", "memory_mib", "os_id", "os_version", "hostname", "tags",
    "missing_since",
)  # fmt: skip

Outcome = Literal["added", "changed", "kept"]


@dataclass(frozen=True)
class Change:
    """What a row of the file does. `fields`: of the machine, those that change."""

    outcome: Outcome
    machine: ImportedMachine
    vm: VirtualMachine  # with the new values, not saved
    fields: tuple[str, ...]
    size_before: dict[str, int | None]

    @property
    def disk_gib(self) -> float:
        return round(sum(self.machine.disks) / GIB, 1)


def inventory_preview(*, source: SourceEndpoint, data: bytes, file_name: str, by) -> InventoryUpload:
    """Reads the file and keeps what it says until it is confirmed, discarded or followed by another. Raises BadInput
    at `file` for what is no inventory, Refused for a source that takes none."""
    content = _read(source, data, by)
    with transaction.atomic():
        told = {
            "file_name": printable(file_name, 200) or "unnamed",
            "content": content.model_dump(mode="json"),
            "uploaded_by": by,
        }
        upload, _ = InventoryUpload.objects.update_or_create(source=source, defaults=told)
        record(by=by, action="source.inventory_upload", obj=source, after=_counted(content))
    return upload


@transaction.atomic
def inventory_confirm(*, upload: InventoryUpload, by, complete: bool = False) -> dict[str, Any]:
    """Takes the machines of the file that was looked at; returns the report of `inventory_import`."""
    require(by=by, department=upload.source.department, role=Role.OPERATOR)
    report = _store(upload.source, content_of(upload), by, complete)
    upload.delete()
    return report


@transaction.atomic
def inventory_discard(*, upload: InventoryUpload, by) -> None:
    require(by=by, department=upload.source.department, role=Role.OPERATOR)
    record(
        by=by, action="source.inventory_discard", obj=upload.source, before={"file_name": upload.file_name}
    )
    upload.delete()


def inventory_import(
    *, source: SourceEndpoint, data: bytes, by, complete: bool = False, dry_run: bool = False
) -> dict[str, Any]:
    """{"format", "found", "added", "changed", "kept", "missing", "errors": [{row, field, message}], "left_out": [..]}.

    Rows with errors are left out, the others are taken, all or none of them. `complete`: the file lists every machine
    of the source, so that the others are marked as missing. Raises as inventory_preview.
    """
    content = _read(source, data, by)
    if dry_run:
        changes = changes_of(source, content)
        return _report(content, changes, len(_absent(source, content)) if complete else 0)
    return _store(source, content, by, complete)


def content_of(upload: InventoryUpload) -> Inventory:
    return Inventory.model_validate(upload.content)


def changes_of(source: SourceEndpoint, content: Inventory) -> list[Change]:
    """In the order of the file; writes nothing."""
    known = {vm.external_id: vm for vm in source.machines.prefetch_related("disks", "nics")}
    return [_change(source, known.get(each.external_id), each) for each in content.machines]


def _read(source: SourceEndpoint, data: bytes, by) -> Inventory:
    require(by=by, department=source.department, role=Role.OPERATOR)
    if not source.is_inventory:
        raise Refused(f"{source} is a directory of images: import into a source of the kind inventory file.")
    try:
        return read_inventory(data)
    except Unreadable as error:
        raise BadInput({"file": [f"This file cannot be taken: {error}."]}) from None
    except SandboxUnavailable as error:
        raise Refused(f"This machine cannot read inventories safely: {error}") from None


def _change(source: SourceEndpoint, vm: VirtualMachine | None, found: ImportedMachine) -> Change:
    """What people told stays where the file tells nothing; of tags the file's keys win, the others stay."""
    known = vm is not None
    vm = vm or VirtualMachine(source=source, department=source.department, external_id=found.external_id)
    told = {
        "name": found.name,
        "power_state": found.power_state,
        "firmware": found.firmware or vm.firmware,
        "vcpus": found.vcpus or vm.vcpus,
        "memory_mib": found.memory_mib or vm.memory_mib,
        "os_id": found.os_id or vm.os_id,
        "os_version": found.os_version if found.os_id or found.os_version else vm.os_version,
        "hostname": found.hostname or vm.hostname,
        "tags": vm.tags | found.tags,
        "missing_since": None,
    }
    size = size_owned(vm)
    fields = [name for name, value in told.items() if getattr(vm, name) != value]
    for name, value in told.items():
        setattr(vm, name, value)
    if known:
        fields += _parts_changed(vm, found)
    outcome: Outcome = "added" if not known else "changed" if fields else "kept"
    return Change(outcome, found, vm, tuple(fields) if known else (), size)


def _parts_changed(vm: VirtualMachine, found: ImportedMachine) -> list[str]:
    sizes = tuple(disk.virtual_size_bytes for disk in vm.disks.all())
    cards = [(nic.mac, nic.network) for nic in vm.nics.all()]
    changed = ["disks"] if found.disks and found.disks != sizes else []
    return changed + (
        ["nics"] if found.nics and [(nic.mac, nic.network) for nic in found.nics] != cards else []
    )


@transaction.atomic
def _store(source: SourceEndpoint, content: Inventory, by, complete: bool) -> dict[str, Any]:
    source = SourceEndpoint.objects.select_for_update().get(pk=source.pk)
    changes = changes_of(source, content)
    _refuse_unfit(changes)
    _write(changes, by)
    absent = _absent(source, content) if complete else []
    for start in range(0, len(absent), BATCH):
        gone = source.machines.filter(pk__in=absent[start : start + BATCH], missing_since__isnull=True)
        gone.update(missing_since=timezone.now())
    report = _report(content, changes, len(absent))
    SourceEndpoint.objects.filter(pk=source.pk).update(
        discovered_at=timezone.now(), discovery_report=_kept_report(report)
    )
    record(by=by, action="source.inventory_import", obj=source, after=_counted(content) | _numbers(report))
    return report


def _refuse_unfit(changes: Iterable[Change]) -> None:
    """The reader's bounds are narrower than the columns: what fails here is a defect, told and not half-written."""
    for each in changes:
        try:
            each.vm.clean_fields(exclude=["source", "department"])
        except ValidationError as error:
            raise BadInput({"file": [f"Row {each.machine.row}: {' '.join(error.messages)}"]}) from None


def _write(changes: list[Change], by) -> None:
    added = [each for each in changes if each.outcome == "added"]
    changed = [each for each in changes if each.outcome == "changed"]
    now = timezone.now()
    for each in changed:
        each.vm.updated_at = now  # bulk_update leaves auto_now alone
    VirtualMachine.objects.bulk_create([each.vm for each in added], batch_size=BATCH)
    VirtualMachine.objects.bulk_update(
        [each.vm for each in changed], [*COLUMNS, "updated_at"], batch_size=BATCH
    )
    for each in changed:
        resize_record(vm=each.vm, before=each.size_before, by=by)
    _write_disks([each for each in added if each.machine.disks] + [e for e in changed if "disks" in e.fields])
    _write_nics([each for each in added if each.machine.nics] + [e for e in changed if "nics" in e.fields])


def _write_disks(changes: list[Change]) -> None:
    """Only their sizes are known: no path, so nothing ever reads them."""
    _delete(Disk, changes)
    rows = [
        Disk(vm=each.vm, index=index, path="", format="", virtual_size_bytes=size)
        for each in changes
        for index, size in enumerate(each.machine.disks)
    ]
    Disk.objects.bulk_create(rows, batch_size=BATCH)


def _write_nics(changes: list[Change]) -> None:
    _delete(Nic, changes)
    rows = [
        Nic(vm=each.vm, index=index, mac=nic.mac, network=nic.network)
        for each in changes
        for index, nic in enumerate(each.machine.nics)
    ]
    Nic.objects.bulk_create(rows, batch_size=BATCH)


def _delete(model: type[Disk] | type[Nic], changes: list[Change]) -> None:
    known = [each.vm.pk for each in changes if each.outcome == "changed"]
    for start in range(0, len(known), BATCH):
        model.objects.filter(vm__in=known[start : start + BATCH]).delete()


def _absent(source: SourceEndpoint, content: Inventory) -> list[UUID]:
    """Machines of the source that the file does not have. Raises Refused where a row may have been one of them."""
    if content.errors:
        raise Refused("A file with rows that cannot be taken does not list every machine: mend them first.")
    listed = {each.external_id for each in content.machines}
    return [
        pk
        for pk, external_id in source.machines.values_list("pk", "external_id")
        if external_id not in listed
    ]


def _report(content: Inventory, changes: list[Change], missing: int) -> dict[str, Any]:
    outcomes = Counter(each.outcome for each in changes)
    return {
        "format": content.format,
        "found": len(changes),
        **{name: outcomes[name] for name in ("added", "changed", "kept")},
        "missing": missing,
        "errors": [each.model_dump() for each in content.errors],
        "left_out": [each.model_dump() for each in content.left_out],
    }


def _numbers(report: dict[str, Any]) -> dict[str, int]:
    return {name: report[name] for name in ("added", "changed", "kept", "missing")}


def _counted(content: Inventory) -> dict[str, Any]:
    numbers = {"machines": content.machines, "errors": content.errors, "left_out": content.left_out}
    return {"format": content.format} | {name: len(rows) for name, rows in numbers.items()}


def _kept_report(report: dict[str, Any]) -> dict[str, Any]:
    """As a discovery leaves it on its source."""
    skipped = [RowError(**each) for each in [*report["errors"], *report["left_out"]][:MAX_TOLD]]
    told = [{"name": f"Row {each.row}", "reason": f"{each.field} {each.message}".strip()} for each in skipped]
    return {"found": report["found"], "moved": 0, "skipped": told, **_numbers(report)}
