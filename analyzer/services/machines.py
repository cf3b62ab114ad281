"""Machines: what people tell of them, and the persona that one of them inspires."""

from typing import Any

from django.db import transaction
from django.db.models import Sum

from analyzer.domain.facts import Facts
from analyzer.domain.persona_draft import persona_draft
from analyzer.domain.recommend import Size
from analyzer.models import VirtualMachine
from analyzer.services.usage import usage_summary
from personas.errors import BadInput, Refused
from personas.models import Persona, Role
from personas.services.access import require
from personas.services.audit import record
from personas.services.persona_document import persona_import
from personas.services.rows import refuse_in_use, row_update

SIZES = ("vcpus", "memory_mib")
TOLD_BY_PEOPLE = (*SIZES, "tags")  # a disk image does not know its own vCPUs


def vm_update(*, vm: VirtualMachine, by, **values: Any) -> VirtualMachine:
    """`values`: vcpus, memory_mib, tags {str: str}."""
    if unknown := set(values) - set(TOLD_BY_PEOPLE):
        raise BadInput({name: ["comes from the source and the scan"] for name in sorted(unknown)})
    tags = values.get("tags")
    if tags is not None and not (isinstance(tags, dict) and all(isinstance(v, str) for v in tags.values())):
        raise BadInput({"tags": ["is a map of words to words"]})
    return row_update(row=vm, by=by, values=values, role=Role.OPERATOR, verb="update")


@transaction.atomic
def vm_forget(*, vm: VirtualMachine, by) -> None:
    """Only what its source no longer shows; the others would be back at the next discovery."""
    require(by=by, department=vm.department, role=Role.ADMIN)
    if vm.missing_since is None:
        raise Refused(f"{vm} is still there: its source shows it.")
    refuse_in_use(vm, by=by)
    record(by=by, action="virtualmachine.forget", obj=vm, before={"name": vm.name, "external_id": vm.external_id})
    vm.delete()


def size_of(vm: VirtualMachine) -> Size:
    disk_bytes = vm.disks.aggregate(total=Sum("virtual_size_bytes"))["total"]
    return Size(vcpus=vm.vcpus, memory_mib=vm.memory_mib, disk_bytes=disk_bytes)


def size_owned(vm: VirtualMachine) -> dict[str, int | None]:
    return {name: getattr(vm, name) for name in SIZES}


def resize_record(*, vm: VirtualMachine, before: dict[str, int | None], by=None) -> None:
    """Into the trail, because right-sizing reads there how much the machine had until when. `before`: its size_owned
    then; a size that was not known is no resize."""
    now = size_owned(vm)
    before = {name: value for name, value in before.items() if value not in (None, now[name])}
    if before:
        after = {name: now[name] for name in before}
        record(by=by, action="virtualmachine.update", obj=vm, before=before, after=after)


def persona_from_vm(vm: VirtualMachine, facts: Facts) -> dict[str, Any]:
    """A draft to read and mend: {"name", "description", "hints", "settings"}. Writes nothing."""
    return persona_draft(facts, name=vm.name, size=size_of(vm), usage=usage_summary(vm))


def persona_create_from_vm(*, vm: VirtualMachine, data: dict[str, Any], by) -> Persona:
    """The mended draft as a persona of the machine's department. Raises as persona_import."""
    return persona_import(data=data, by=by, department=vm.department)
