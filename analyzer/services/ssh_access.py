"""Sources of running machines: who logs in where, which host keys are trusted, and whether they answer.

ssh_access_set(source=source, by=user, hosts=["web1", "db1:2222"], username="scan", private_key=text)
ssh_contact(source=source, by=user)                                 # what key does each show?
ssh_hosts_confirm(source=source, by=user, fingerprints={id: "SHA256:…"})   # a person has compared them
"""

from collections.abc import Iterable

from django.db import transaction
from django.utils import timezone

from analyzer.domain.libvirt_address import parse_libvirt_address
from analyzer.domain.ssh_keys import MOST_HOSTS, address, fingerprint, parse_address
from analyzer.models import SourceEndpoint, SshAccess, SshHost
from analyzer.sources.ssh import Denied, Door, Login, check_private_key, logins, offered_keys
from personas.errors import BadInput, Refused
from personas.models import Role
from personas.services.access import require
from personas.services.audit import record
from personas.services.secret_box import seal, unseal

Place = tuple[str, int, bool]  # host, port, is it the jump host


@transaction.atomic
def ssh_access_set(
    *,
    source: SourceEndpoint,
    by,
    username: str,
    hosts: Iterable[str] = (),
    port: int = 22,
    private_key: str = "",
    password: str = "",
    use_sudo: bool = False,
    jump_host: str = "",
) -> SshAccess:
    """What is said here replaces what was; a machine that stays listed keeps its pinned key. Without a key and a
    password the secret stays as it is. Raises BadInput."""
    require(by=by, department=source.department, role=Role.ADMIN)
    if not takes_login(source):
        raise Refused(f"Nobody logs in to the machines of {source}.")
    if (
        source.is_libvirt
    ):  # its address says which machine that is; nothing but the forwarding is needed there
        hypervisor = parse_libvirt_address(source.location)
        hosts, jump_host, use_sudo = [address(hypervisor.host, hypervisor.port)], "", False
    access = SshAccess.objects.filter(source=source).first() or SshAccess(source=source)
    places = _places(hosts, jump_host, port)
    _set_credential(access, private_key.strip(), password)
    access.username, access.use_sudo = username.strip(), use_sudo
    access.full_clean()
    access.save()
    _set_places(source, places)
    told = {"username": access.username, "use_sudo": use_sudo, "credential": access.credential_kind}
    after = told | {
        "hosts": [address(host, at) for host, at, _ in places][:200],
        "new_secret": bool(private_key or password),
    }
    record(by=by, action="source.ssh_access", obj=source, after=after)
    return access


def takes_login(source: SourceEndpoint) -> bool:
    """Running machines, and a hypervisor that is not this machine's own."""
    return source.is_ssh or (source.is_libvirt and parse_libvirt_address(source.location).is_remote)


def _places(hosts: Iterable[str], jump_host: str, port: int) -> list[Place]:
    errors: dict[str, list[str]] = {}
    found: list[Place] = []
    for field, is_jump, texts in (
        ("hosts", False, list(hosts)),
        ("jump_host", True, [jump_host] if jump_host else []),
    ):
        for text in texts:
            try:
                found.append((*parse_address(text, port), is_jump))
            except ValueError as error:
                errors.setdefault(field, []).append(str(error))
    machines = [place for place in found if not place[2]]
    if not machines and "hosts" not in errors:
        errors["hosts"] = ["Name at least one machine."]
    if len(machines) > MOST_HOSTS:
        errors["hosts"] = [f"More than {MOST_HOSTS} machines: make a second source."]
    if errors:
        raise BadInput({field: told[:20] for field, told in errors.items()})
    return list(dict.fromkeys(found))


def _set_credential(access: SshAccess, private_key: str, password: str) -> None:
    if private_key and password:
        raise BadInput({"password": ["Give a key or a password, not both."]})
    if private_key:
        try:
            check_private_key(private_key + "\n")
        except ValueError as error:
            raise BadInput({"private_key": [str(error)]}) from None
        access.credential_kind, access.credential = SshAccess.Kind.KEY, seal(private_key + "\n")
    elif password:
        access.credential_kind, access.credential = SshAccess.Kind.PASSWORD, seal(password)
    elif not access.credential:
        raise BadInput({"private_key": ["Give a private key, or a password."]})


def _set_places(source: SourceEndpoint, places: list[Place]) -> None:
    known = {(row.host, row.port, row.is_jump): row for row in source.ssh_hosts.all()}
    gone = [row.pk for place, row in known.items() if place not in set(places)]
    SshHost.objects.filter(pk__in=gone).delete()
    new = [SshHost(source=source, host=host, port=port, is_jump=jump) for host, port, jump in places]
    SshHost.objects.bulk_create(row for row in new if (row.host, row.port, row.is_jump) not in known)


def login_of(source: SourceEndpoint) -> Login:
    """With its secret in clear. Raises Refused where nobody has told how to log in."""
    access = SshAccess.objects.filter(source=source).first()
    if access is None:
        raise Refused(f"{source}: nobody has said yet how to log in to its machines.")
    secret = unseal(access.credential)
    is_key = access.credential_kind == SshAccess.Kind.KEY
    return Login(
        username=access.username,
        private_key=secret if is_key else "",
        password="" if is_key else secret,
        use_sudo=access.use_sudo,
    )


def door_of(host: SshHost) -> Door:
    return Door(host.host, host.port, host.pinned_key)


def jump_of(source: SourceEndpoint) -> Door | None:
    host = source.ssh_hosts.filter(is_jump=True).first()
    return door_of(host) if host else None


def contacted(source: SourceEndpoint) -> list[SshHost]:
    """Asks each machine for its host key and keeps what it shows; logs in nowhere but to a confirmed jump host."""
    login = login_of(source)
    jumps = list(source.ssh_hosts.filter(is_jump=True))
    _keep(jumps, offered_keys([door_of(row) for row in jumps], None, login))
    machines = list(source.ssh_hosts.filter(is_jump=False))
    _keep(machines, offered_keys([door_of(row) for row in machines], jump_of(source), login))
    return [*jumps, *machines]


def _keep(hosts: list[SshHost], answers: dict) -> None:
    now = timezone.now()
    for host in hosts:
        answer = answers[door_of(host)]
        host.contacted_at, host.problem = now, "" if isinstance(answer, str) else answer.reason[:500]
        if isinstance(answer, str):
            host.offered_key = answer
    SshHost.objects.bulk_update(hosts, ["contacted_at", "problem", "offered_key"], batch_size=500)


@transaction.atomic
def ssh_hosts_confirm(*, source: SourceEndpoint, by, fingerprints: dict[str, str]) -> int:
    """{host id: the fingerprint that a person has compared}: from now on these keys are the machines'. A machine that
    shows another key by now is refused. Returns how many were confirmed."""
    require(by=by, department=source.department, role=Role.ADMIN)
    hosts = {str(row.pk): row for row in source.ssh_hosts.select_for_update().exclude(offered_key="")}
    for pk, seen in fingerprints.items():
        host = hosts.get(str(pk))
        if host is None or host.offered_fingerprint != seen:
            raise Refused(f"{host or pk} shows another key than the one that you have seen: look again.")
        before = host.pinned_fingerprint
        host.pinned_key, host.confirmed_at, host.confirmed_by = host.offered_key, timezone.now(), by
        host.problem = ""
        host.save()
        after = {"host": str(host), "fingerprint": seen}
        record(by=by, action="source.ssh_confirm", obj=source, before={"fingerprint": before}, after=after)
    return len(fingerprints)


def ssh_check(source: SourceEndpoint) -> dict[str, str]:
    """Logs in to every machine: {"machines": "3", "let in": "2", "web1:22": "why not"}."""
    hosts = {door_of(row): row for row in source.ssh_hosts.filter(is_jump=False)}
    answers = logins(list(hosts), jump_of(source), login_of(source))
    closed = {str(hosts[door]): each.reason for door, each in answers.items() if not isinstance(each, str)}
    outcomes_keep({hosts[door]: each for door, each in answers.items()})
    whom = sorted({each for each in answers.values() if isinstance(each, str)})
    told = {"machines": str(len(hosts)), "let in": str(len(hosts) - len(closed)), "as": ", ".join(whom)}
    return {key: value for key, value in told.items() if value} | dict(list(closed.items())[:20])


def outcomes_keep(outcomes: dict) -> None:
    """Host → what came of the last contact, onto its row."""
    now = timezone.now()
    for host, outcome in outcomes.items():
        columns = {"contacted_at": now, "problem": getattr(outcome, "reason", "")[:500]}
        if isinstance(outcome, Denied) and fingerprint(outcome.offered):
            columns["offered_key"] = outcome.offered
        SshHost.objects.filter(pk=host.pk).update(**columns)
