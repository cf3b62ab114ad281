"""Running machines over SSH: first contact, and one script through one channel per machine. Nothing stays behind.

A machine is trusted by its pinned host key only: no known_hosts, no agent, no configuration of this account is read.
"""

import asyncio
import os
import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

import asyncssh

from analyzer.domain.facts import AREAS, Facts
from analyzer.domain.ssh_facts import facts_document
from analyzer.domain.ssh_report import NoReport, parse_report
from analyzer.scanner.child.report import fit

SCRIPT = (Path(__file__).parent / "ssh_scan.sh").read_bytes()
MOST_AT_ONCE = 100
CONNECT_S = 20  # a machine behind a dead firewall answers nothing
LOOK_S = 120  # a month of sysstat's days takes seconds
MOST_BYTES = 96 << 20
UNCONFIRMED = "its host key is not confirmed yet: compare the fingerprint and confirm it on the source's page"
RSA = ("rsa-sha2-512", "rsa-sha2-256")

asyncssh.set_log_level("WARNING")  # it tells of every channel; what matters stands in the outcome


@dataclass(frozen=True)
class Door:
    """Where a machine is reached. `pinned` is its host key as OpenSSH writes it; empty: not confirmed yet."""

    host: str
    port: int
    pinned: str = ""

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, repr=False)
class Login:
    """Secrets in clear: kept in memory for a look, never printed."""

    username: str
    private_key: str = ""
    password: str = ""
    use_sudo: bool = False


@dataclass(frozen=True)
class Seen:
    facts: Facts


@dataclass(frozen=True)
class Unreachable:
    """Off, gone or behind a firewall: nobody's mistake."""

    reason: str


@dataclass(frozen=True)
class Denied:
    """It answers and does not let us in, or is not who it was; `offered` is the key that it showed then."""

    reason: str
    offered: str = ""


Outcome = Seen | Unreachable | Denied


def check_private_key(text: str) -> None:
    """Raises ValueError for what is no private key, or one that asks for a passphrase."""
    try:
        asyncssh.import_private_key(text)
    except asyncssh.KeyEncryptionError:
        raise ValueError(
            "This key asks for a passphrase: give one without; it is kept encrypted here."
        ) from None
    except asyncssh.KeyImportError:
        raise ValueError("This is no private key in OpenSSH's or PEM's form.") from None


def offered_keys(
    doors: Sequence[Door], jump: Door | None, login: Login
) -> dict[Door, str | Unreachable | Denied]:
    """Each machine's host key as it shows it now, without logging in to it."""

    return _each(doors, jump, login, _offered)


async def _offered(door: Door, tunnel) -> str | Unreachable:
    async with asyncio.timeout(CONNECT_S):
        key = await asyncssh.get_server_host_key(door.host, door.port, tunnel=tunnel, config=None)
    return key.export_public_key().decode().strip() if key else Unreachable("it shows no host key")


def logins(doors: Sequence[Door], jump: Door | None, login: Login) -> dict[Door, str | Unreachable | Denied]:
    """Each machine: who we are there ("root" or the user's name), or why we are not let in."""

    async def ask(door: Door, tunnel) -> str | Unreachable | Denied:
        connection = await _connected(door, login, tunnel)
        if isinstance(connection, (Denied, Unreachable)):
            return connection
        async with connection, asyncio.timeout(CONNECT_S):
            answer = await connection.run(_as_who(login, "id -un"), check=False, input=_first_line(login))
        words = str(answer.stdout or "").split()
        return words[0][:40] if words else Denied("the account's shell runs no commands")

    return _each(doors, jump, login, ask)


def looks(
    doors: Sequence[Door],
    jump: Door | None,
    login: Login,
    *,
    done: Callable[[Door, Outcome], None] = lambda door, outcome: None,
) -> dict[Door, Outcome]:
    """Looks into MOST_AT_ONCE machines at a time; `done` is called in this thread as soon as each has answered."""

    async def look(door: Door, tunnel) -> Outcome:
        started = time.monotonic()
        connection = await _connected(door, login, tunnel)
        if isinstance(connection, (Denied, Unreachable)):
            return connection
        token = token_hex(8)
        async with connection, asyncio.timeout(LOOK_S):
            spoken = _first_line(login).encode() + SCRIPT
            answer = await _answer(connection, _as_who(login, f"sh -s -- {token}"), spoken)
        return _seen(answer, token, started)

    return _each(doors, jump, login, look, done)


def _seen(answer: bytes, token: str, started: float) -> Outcome:
    try:
        document = fit(facts_document(parse_report(answer, token), areas=AREAS))
    except NoReport as error:
        return Denied(f"its answer cannot be used: {error}")
    took = int(1000 * (time.monotonic() - started))
    scan = {"duration_ms": took, "image_format": "ssh", "virtual_size_bytes": 0, "allocated_bytes": 0}
    return Seen(Facts.model_validate({**document, "scan": scan}))


def _as_who(login: Login, command: str) -> str:
    """With sudo where it asks for nothing or for the password that we log in with, else as the user: less is seen then.

    The password goes through standard input (`_first_line`), never into an argument: those are everybody's to read. It
    is tried on `true` first, so that a sudo that refuses it cannot take the script for further tries.
    """
    if not login.use_sudo or login.username == "root":
        return command
    free = f"if sudo -k -n true 2>/dev/null; then exec sudo -n {command};"
    if login.password:
        told = r"printf '%s\n' " + '"$word"'
        root = "sudo -k -S -p ''"
        asked = f"elif {told} | {root} true 2>/dev/null; then {{ {told}; cat; }} | {root} {command};"
        free = f"IFS= read -r word; {free} {asked}"
    return f"sh -c {shlex.quote(f'{free} else exec {command}; fi')}"


def _first_line(login: Login) -> str:
    """What _as_who's command reads before the command that it runs."""
    asks = login.use_sudo and login.username != "root" and login.password
    return f"{login.password}\n" if asks else ""


async def _answer(connection, command: str, spoken: bytes) -> bytes:
    async with connection.create_process(command, encoding=None, stderr=asyncssh.DEVNULL) as process:
        process.stdin.write(spoken)
        process.stdin.write_eof()
        answer = bytearray()
        while chunk := await process.stdout.read(1 << 18):
            answer += chunk
            if len(answer) > MOST_BYTES:
                break  # the parser says that the answer broke off
        return bytes(answer)


async def guarded_connection(door: Door, login: Login):
    """An open connection, or Unreachable or Denied with its reason. Raises nothing that a network can cause."""
    return await _guarded(_connected(door, login, None))


async def _connected(door: Door, login: Login, tunnel):
    """A connection, or why there is none. Raises what _guarded knows."""
    if not door.pinned:
        offered = await _offered(door, tunnel)  # one that is off is unreachable, whatever its key
        return offered if isinstance(offered, Unreachable) else Denied(UNCONFIRMED, offered)
    pinned = asyncssh.import_public_key(door.pinned)
    guard = _Guard(pinned)
    keys = [asyncssh.import_private_key(login.private_key)] if login.private_key else None
    try:
        async with asyncio.timeout(CONNECT_S):
            return await asyncssh.connect(
                door.host,
                door.port,
                tunnel=tunnel,
                config=None,
                username=login.username,
                client_keys=keys,
                password=login.password or None,
                preferred_auth="publickey" if keys else "password,keyboard-interactive",
                client_factory=lambda: guard,
                known_hosts=([], [], []),  # so that the guard is asked
                server_host_key_algs=_algorithms(pinned),
                agent_path=None,
                gss_host=None,
                x509_trusted_certs=None,
                host_based_auth=False,
                compression_algs=None,
            )
    except asyncssh.HostKeyNotVerifiable:
        return guard.denied(door)
    except asyncssh.PermissionDenied:
        return Denied(f"it does not let {login.username} in with this {'key' if keys else 'password'}")


class _Guard(asyncssh.SSHClient):
    def __init__(self, pinned):
        self.pinned, self.offered = pinned, None

    def validate_host_public_key(self, host, addr, port, key) -> bool:
        self.offered = key
        return key == self.pinned

    def denied(self, door: Door) -> Denied:
        known = self.pinned.get_fingerprint()
        if self.offered is None:
            return Denied(f"{door} shows no host key that could be the pinned one ({known})")
        return Denied(
            f"the host key of {door} has changed: pinned is {known}, it shows {self.offered.get_fingerprint()}. "
            "Somebody may stand between; confirm the new key only if you know why it changed",
            offered=self.offered.export_public_key().decode().strip(),
        )


def _algorithms(pinned) -> list[str]:
    """The pinned key's kind first, so that a machine with several shows that one; then the others, to tell it."""
    own = pinned.get_algorithm()
    others = ["ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", *RSA]
    first = list(RSA) if own == "ssh-rsa" else [own]
    return first + [each for each in others if each not in first]


def _each(doors, jump: Door | None, login: Login, ask, done=None) -> dict:
    """`ask(door, tunnel)` for each door at once; what it raises becomes that door's outcome. A jump host that does not
    let us through is every door's outcome."""
    return asyncio.run(_all(doors, jump, login, ask, done))


async def _all(doors, jump, login, ask, done) -> dict:
    tunnel = None
    if jump is not None:
        tunnel = await _guarded(_connected(jump, login, None))
        if isinstance(tunnel, (Unreachable, Denied)):
            closed = type(tunnel)(f"the jump host {jump}: {tunnel.reason}")
            return _told(dict.fromkeys(doors, closed), done)
    found, room = {}, asyncio.Semaphore(MOST_AT_ONCE)

    async def one(door):
        async with room:
            found[door] = await _guarded(ask(door, tunnel))
        if done:
            done(door, found[door])

    try:
        await asyncio.gather(*(one(door) for door in doors))
    finally:
        if tunnel is not None:
            tunnel.close()
    return found


def _told(found: dict, done) -> dict:
    for door, outcome in found.items() if done else ():
        done(door, outcome)
    return found


async def _guarded(asked):
    try:
        return await asked
    except TimeoutError:
        return Unreachable("it did not answer in time")
    except OSError as error:
        return Unreachable(_short(os.strerror(error.errno) if (error.errno or 0) > 0 else error))
    except (asyncssh.ConnectionLost, asyncssh.ChannelOpenError) as error:
        return Unreachable(_short(error))
    except asyncssh.Error as error:
        return Denied(f"SSH failed: {_short(error)}")


def _short(error: object) -> str:
    text = " ".join(str(error).split())
    return "".join(each for each in text if each.isprintable())[:200] or "the connection was lost"
