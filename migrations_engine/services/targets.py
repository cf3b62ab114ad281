"""Target endpoints: rows, and the drivers behind them."""

from dataclasses import asdict, replace
from typing import Any

from django.conf import settings
from django.db import models, transaction

from analyzer.sources.ssh import Door, Login
from migrations_engine.models import Hypervisor, MigrationRun, TargetEndpoint, Wave
from migrations_engine.targets.base import Target, TargetError
from migrations_engine.targets.libvirt.place import Place
from migrations_engine.targets.registry import open_target
from personas.errors import InUse, Refused
from personas.models import Department, Role
from personas.services.access import require
from personas.services.audit import record
from personas.services.secret_box import unseal

LOCAL_NAME = "This machine"


def open_endpoint(endpoint: TargetEndpoint) -> Target:
    """The driver of a target. Everything that it makes here is kept below DISKS_DIR: machines of this one at once, what
    is prepared for a hypervisor in a folder of that endpoint."""
    if not endpoint.is_libvirt:
        return open_target(endpoint.kind, root=settings.DISKS_DIR)
    root = settings.DISKS_DIR / ".libvirt" / str(endpoint.pk)
    return open_target(endpoint.kind, root=root, place=place_of(endpoint))


def place_of(endpoint: TargetEndpoint) -> Place:
    """With its secret in clear. What keeps it from being asked is told to whoever asks."""
    row = Hypervisor.objects.filter(target=endpoint).first()
    if row is None:
        return Place(None, "", problem="Nobody has said yet where this hypervisor is.")
    kept = {"accelerator": row.accelerator, "enforces": frozenset(row.enforces)}
    here = Place(row.parsed, row.pool, row.network, **kept)
    if not row.is_remote:
        return here
    if not row.pinned_key:
        return replace(here, problem="Nobody has confirmed its host key yet: check the connection.")
    try:
        secret = unseal(row.credential)
    except Refused as error:
        return replace(here, problem=error.message)
    is_key = row.credential_kind == "key"
    login = Login(here.address.username, secret if is_key else "", "" if is_key else secret)
    return replace(here, login=login, door=Door(here.address.host, here.address.port, row.pinned_key))


def default_target(*, department: Department | None, by) -> TargetEndpoint | None:
    """The department's own target before the organisation's; None where neither has one."""
    rows = TargetEndpoint.objects.visible_to(by)
    ours = rows.filter(models.Q(department=department) | models.Q(department__isnull=True))
    return ours.order_by(models.F("department").asc(nulls_last=True), "created_at").first()


def target_probe(*, target: TargetEndpoint) -> dict[str, Any]:
    """What it is able to do right now, as plain JSON. Raises Refused where it does not answer."""
    try:
        return asdict(open_endpoint(target).probe())
    except (TargetError, OSError) as error:
        raise Refused(f"The target does not answer: {error}") from error


def target_create(
    *, name: str, kind: str = "qemu", department: Department | None = None, by
) -> TargetEndpoint:
    require(by=by, department=department, role=Role.ADMIN)
    target = TargetEndpoint(name=name, kind=kind, department=department)
    with transaction.atomic():
        target.full_clean()
        target.save()
        record(by=by, action="target.create", obj=target, after={"name": name, "kind": kind})
    return target


def target_ensure_local(*, by) -> TargetEndpoint:
    """The organisation's target "This machine", made when there is none. For the seeding of a new instance."""
    found = TargetEndpoint.objects.filter(department__isnull=True, kind="qemu").first()
    return found or target_create(name=LOCAL_NAME, by=by)


def target_update(*, target: TargetEndpoint, name: str, by) -> TargetEndpoint:
    require(by=by, department=target.department, role=Role.ADMIN)
    before, target.name = {"name": target.name}, name
    with transaction.atomic():
        target.full_clean()
        target.save()
        record(by=by, action="target.update", obj=target, before=before, after={"name": name})
    return target


def target_delete(*, target: TargetEndpoint, by) -> None:
    """Raises InUse where a run went there: its history needs the row."""
    require(by=by, department=target.department, role=Role.ADMIN)
    with transaction.atomic():
        runs = MigrationRun.objects.filter(target=target)[:10]
        if used_by := [{"type": "migration", "id": str(run.pk), "name": str(run)} for run in runs]:
            raise InUse("Migrations went to this target; it is part of their history.", used_by=used_by)
        waves = Wave.objects.filter(target=target)[:10]
        if used_by := [{"type": "wave", "id": str(wave.pk), "name": wave.name} for wave in waves]:
            raise InUse("Waves go to this target.", used_by=used_by)
        record(by=by, action="target.delete", obj=target, before={"name": target.name, "kind": target.kind})
        target.delete()
