"""Targets that libvirt keeps: where they are, who logs in, which host key is trusted, and what a trial found there.

hypervisor_set(target=target, address="qemu+ssh://mp@host/system", pool="default", private_key=text, by=user)
target_check(target=target, by=user)                        # what key does it show? then: what is allowed, what works?
host_key_confirm(target=target, fingerprint="SHA256:…", by=user)        # a person has compared it
"""

from typing import Any

from django.db import transaction
from django.utils import timezone

from analyzer.domain.libvirt_address import BadAddress, LibvirtAddress, parse_libvirt_address
from analyzer.sources.ssh import Door, Login, check_private_key, offered_keys
from migrations_engine.models import Hypervisor, MigrationRun, TargetEndpoint
from migrations_engine.services.targets import open_endpoint, target_probe
from migrations_engine.targets.base import TargetError, Trial
from personas.errors import BadInput, InUse, Refused
from personas.models import Role
from personas.services.access import require
from personas.services.audit import record
from personas.services.secret_box import seal

UNTRIED = {"accelerator": "", "enforces": [], "missing": [], "notes": [], "tried_at": None}
OURS = "Only an administrator of this installation may name a hypervisor of its own machine."


@transaction.atomic
def hypervisor_set(
    *,
    target: TargetEndpoint,
    by,
    address: str,
    pool: str = "default",
    network: str = "",
    private_key: str = "",
    password: str = "",
) -> Hypervisor:
    """What is said here replaces what was. Without a key and a password the secret stays as it is, as long as the
    address does. Raises BadInput, InUse where machines went to another address or pool."""
    require(by=by, department=target.department, role=Role.ADMIN)
    if not target.is_libvirt:
        raise Refused(f"{target} is no hypervisor that libvirt keeps.")
    row = Hypervisor.objects.filter(target=target).first() or Hypervisor(target=target)
    where = _checked(address, by)
    before = {"address": row.address, "pool": row.pool, "network": row.network}
    after = {"address": str(where), "pool": pool.strip(), "network": network.strip()}
    if before["address"] and _place(before) != _place(after):
        _require_unused(target)
    if row.address != after["address"]:
        row.credential_kind = row.credential = row.pinned_key = row.offered_key = ""
    if before != after:
        _assign(row, UNTRIED)
    _assign(row, after)
    _set_credential(row, where, private_key.strip(), password)
    row.full_clean()
    row.save()
    told = {"credential": row.credential_kind, "new_secret": bool(private_key or password)}
    record(by=by, action="target.hypervisor", obj=target, before=before, after=after | told)
    return row


def _checked(text: str, by) -> LibvirtAddress:
    """A hypervisor of this machine is this machine's root: a department's admin may not name one."""
    try:
        address = parse_libvirt_address(text)
    except BadAddress as error:
        raise BadInput({"address": [str(error)]}) from None
    if address.driver != "qemu":
        raise BadInput({"address": ["Machines run at QEMU only: its URI begins with qemu."]})
    if not address.is_remote and not by.is_superuser:
        raise BadInput({"address": [OURS]})
    if address.is_remote and not address.username:
        raise BadInput({"address": ["Name the user who logs in: qemu+ssh://user@host/system."]})
    return address


def _place(told: dict[str, str]) -> tuple[str, str]:
    return told["address"], told["pool"]


def _require_unused(target: TargetEndpoint) -> None:
    runs = MigrationRun.objects.filter(target=target)[:10]
    if used_by := [{"type": "migration", "id": str(run.pk), "name": str(run)} for run in runs]:
        text = "Machines went there: its address and pool stay. Make a second target for another place."
        raise InUse(text, used_by=used_by)


def _set_credential(row: Hypervisor, where: LibvirtAddress, private_key: str, password: str) -> None:
    if not where.is_remote:
        row.credential_kind = row.credential = ""
        return
    if private_key and password:
        raise BadInput({"password": ["Give a key or a password, not both."]})
    if private_key:
        try:
            check_private_key(private_key + "\n")
        except ValueError as error:
            raise BadInput({"private_key": [str(error)]}) from None
        row.credential_kind, row.credential = "key", seal(private_key + "\n")
    elif password:
        row.credential_kind, row.credential = "password", seal(password)
    elif not row.credential:
        raise BadInput({"private_key": ["Give a private key, or a password."]})


def target_check(*, target: TargetEndpoint, by) -> dict[str, Any]:
    """What `target_probe` answers, and {"missing", "enforces", "notes"}; what was found is kept, and plans go by it.

    Raises Refused where it does not answer, or shows a host key that nobody has confirmed.
    """
    require(by=by, department=target.department, role=Role.ADMIN)
    row = Hypervisor.objects.filter(target=target).first()
    if row is not None and row.is_remote:
        _look_at_key(row)
    target_probe(target=target)
    try:
        found = open_endpoint(target).trial()
    except (TargetError, OSError) as error:
        raise Refused(f"The target does not answer: {error}") from error
    told = _as_json(found)
    with transaction.atomic():
        if row is not None:
            _assign(row, told | {"tried_at": timezone.now()})
            row.save()
        record(by=by, action="target.check", obj=target, after=told)
    fresh = TargetEndpoint.objects.get(pk=target.pk)
    return target_probe(target=fresh) | told


def _look_at_key(row: Hypervisor) -> None:
    where = row.parsed
    door = Door(where.host, where.port)
    answer = offered_keys([door], None, Login(where.username))[door]
    if not isinstance(answer, str):
        raise Refused(f"{door} does not answer: {answer.reason}.")
    row.offered_key = answer
    row.save(update_fields=["offered_key"])
    if row.is_to_be_confirmed:
        which = "another host key than the confirmed one" if row.pinned_key else "a host key"
        raise Refused(
            f"{door} shows {which}: {row.offered_fingerprint}. Compare it with what its administrator tells you, and"
            " confirm it."
        )


@transaction.atomic
def host_key_confirm(*, target: TargetEndpoint, fingerprint: str, by) -> None:
    """`fingerprint`: that which a person has compared. A machine that shows another key by now is refused."""
    require(by=by, department=target.department, role=Role.ADMIN)
    row = Hypervisor.objects.select_for_update().filter(target=target).first()
    if row is None or not row.offered_key or row.offered_fingerprint != fingerprint.strip():
        raise Refused("It shows another key than the one that you have seen: look again.")
    before = {"fingerprint": row.pinned_fingerprint}
    row.pinned_key = row.offered_key
    row.save(update_fields=["pinned_key"])
    record(by=by, action="target.confirm_key", obj=target, before=before, after={"fingerprint": fingerprint})


def _as_json(found: Trial) -> dict[str, Any]:
    lists = {"missing": list(found.missing), "notes": list(found.notes), "enforces": sorted(found.enforces)}
    return {"accelerator": found.accelerator} | lists


def _assign(row: Hypervisor, columns: dict[str, Any]) -> None:
    for name, value in columns.items():
        setattr(row, name, value)
