"""Sources: where machines come from."""

from pathlib import Path

from django.db import transaction

from analyzer.models import SourceEndpoint, SshAccess
from analyzer.models.source import IMAGES, Rescan
from analyzer.services.hypervisors import checked_address, hypervisor_of
from analyzer.services.image_roots import checked_directory
from analyzer.services.ssh_access import ssh_check
from analyzer.sources.base import SourceError
from analyzer.sources.registry import source_of_kind
from personas.errors import BadInput, Refused
from personas.models import Department, Role
from personas.services.access import require
from personas.services.audit import record
from personas.services.rows import refuse_in_use


@transaction.atomic
def source_create(
    *,
    name: str,
    department: Department | None,
    by,
    location: str = "",
    kind: str = IMAGES,
    rescan: str = Rescan.OFF,
) -> SourceEndpoint:
    require(by=by, department=department, role=Role.ADMIN)
    source = SourceEndpoint(name=name, kind=kind, location=location, rescan=rescan, department=department)
    _check(source, by)
    source.save()
    record(by=by, action="source.create", obj=source, after=_told(source))
    return source


@transaction.atomic
def source_update(
    *,
    source: SourceEndpoint,
    by,
    name: str | None = None,
    location: str | None = None,
    rescan: str | None = None,
) -> SourceEndpoint:
    """The department stays: its machines, their scans and their runs belong to it."""
    source = SourceEndpoint.objects.select_for_update().get(pk=source.pk)
    require(by=by, department=source.department, role=Role.ADMIN)
    before = _told(source)
    source.name = source.name if name is None else name
    source.location = source.location if location is None else location
    source.rescan = source.rescan if rescan is None else rescan
    _check(source, by, before["location"])
    if source.is_libvirt and source.location != before["location"]:
        source.ssh_hosts.all().delete()  # another machine: its key is another one, and nobody has compared it
        SshAccess.objects.filter(source=source).delete()
    source.save()
    record(by=by, action="source.update", obj=source, before=before, after=_told(source))
    return source


@transaction.atomic
def source_delete(*, source: SourceEndpoint, by) -> None:
    """Its machines go with it, unless one of them has been migrated: then InUse lists the runs."""
    require(by=by, department=source.department, role=Role.ADMIN)
    machines = list(source.machines.all())
    for machine in machines:
        refuse_in_use(machine, by=by)
    record(by=by, action="source.delete", obj=source, before={**_told(source), "machines": len(machines)})
    source.machines.all().delete()
    source.delete()


def source_check(*, source: SourceEndpoint, by) -> dict[str, str]:
    """Looks whether the source answers: what it is, in words. Raises Refused when it does not."""
    require(by=by, department=source.department, role=Role.OPERATOR)
    if source.is_ssh:
        return ssh_check(source)
    try:
        if source.is_libvirt:
            return hypervisor_of(source).probe()
        return source_of_kind(source.kind, source.location).probe()
    except SourceError as error:
        raise Refused(f"{source} does not answer: {error}") from None


def _check(source: SourceEndpoint, by, known_location: str = "") -> None:
    source.clean_fields()
    if source.is_inventory:
        source.rescan = Rescan.OFF
    if source.is_libvirt:
        if source.location != known_location:  # what stands there was checked by who might say it
            source.location = str(checked_address(source.location, by=by))
        _refuse_second(source)
    elif source.kind != IMAGES:
        source.location = ""
    else:
        source.location = str(checked_directory(source.location))
        _refuse_overlap(source)
    source.full_clean()


def _refuse_second(source: SourceEndpoint) -> None:
    others = SourceEndpoint.objects.filter(kind=source.kind, location=source.location).exclude(pk=source.pk)
    if others.exists():
        raise BadInput({"location": ["This hypervisor is another source already."]})


def _refuse_overlap(source: SourceEndpoint) -> None:
    """One disk is one machine of one department; overlapping sources would show it twice, or to a second department."""
    ours = Path(source.location)
    others = SourceEndpoint.objects.filter(kind=source.kind).exclude(pk=source.pk)
    for location in others.values_list("location", flat=True):
        theirs = Path(location)
        if theirs == ours or theirs in ours.parents or ours in theirs.parents:
            raise BadInput({"location": ["This directory is read by another source already."]})


def _told(source: SourceEndpoint) -> dict[str, str]:
    return {"name": source.name, "kind": source.kind, "location": source.location, "rescan": source.rescan}
