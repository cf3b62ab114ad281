"""Which hypervisor a connection URI means. Only what we know is let through: libvirt's own URIs can name programs."""

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

from analyzer.domain.ssh_keys import address, parse_address

SYSTEM_SOCKET = "/run/libvirt/libvirt-sock"
EXAMPLES = "qemu+ssh://host/system, qemu+unix:///system?socket=/run/libvirt/libvirt-sock or qemu:///system"
LONGEST = 500
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}")
_SOCKET = re.compile(r"/[A-Za-z0-9_./-]{1,100}")


class BadAddress(ValueError):
    """No connection URI that is let through; the message says what is wrong with it."""


@dataclass(frozen=True)
class LibvirtAddress:
    """`host` is empty for a hypervisor of this machine. `socket` is a path on the hypervisor's own machine."""

    driver: str  # qemu or test
    instance: str  # system, session or default
    host: str = ""
    port: int = 22
    username: str = ""
    socket: str = ""

    @property
    def is_remote(self) -> bool:
        return bool(self.host)

    def __str__(self) -> str:
        if self.is_remote:
            at = f"{self.username}@" if self.username else ""
            where = address(self.host, self.port).removesuffix(":22")
            return f"{self.driver}+ssh://{at}{where}/{self.instance}" + self._asked(SYSTEM_SOCKET)
        transport = "+unix" if self.socket else ""
        return f"{self.driver}{transport}:///{self.instance}" + self._asked("")

    def _asked(self, usual: str) -> str:
        return "" if self.socket == usual else f"?socket={self.socket}"

    def through(self, socket: str) -> str:
        """The URI for libvirt itself where the hypervisor's socket is reached at `socket` of this machine."""
        return f"{self.driver}+unix:///{self.instance}?socket={socket}"


def parse_libvirt_address(text: str) -> LibvirtAddress:
    """Raises BadAddress. `str()` of the answer is read again as the same address.

    Refused by name: parameters that run a program on this machine (command, netcat), choose its files (keyfile,
    known_hosts), or switch checks off (no_verify); passwords in a URI; drivers and transports nobody has tested.
    """
    text = text.strip()
    if not text.isascii() or not text.isprintable() or len(text) > LONGEST or " " in text:
        raise BadAddress(f"This is no connection URI; write for example {EXAMPLES}.")
    if text == "test:///default":
        return LibvirtAddress("test", "default")
    try:
        parts = urlsplit(text)
        socket = _socket(parts.query)
    except ValueError as error:
        raise error if isinstance(error, BadAddress) else BadAddress("This is no connection URI.") from None
    if parts.fragment:
        raise BadAddress("A connection URI has no part behind #.")
    instance = parts.path.removeprefix("/")
    if parts.scheme in ("qemu", "qemu+unix") and not parts.netloc:
        if instance not in ("system", "session") or (instance == "session" and not socket):
            raise BadAddress("Name the instance: qemu:///system, or a session by its socket.")
        return LibvirtAddress("qemu", instance, socket=socket)
    if parts.scheme == "qemu+ssh" and instance == "system":
        return _remote(parts.netloc, socket or SYSTEM_SOCKET)
    raise BadAddress(f"This is no connection URI that is supported; write {EXAMPLES}.")


def _socket(query: str) -> str:
    asked = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    if unknown := sorted({name for name, _ in asked} - {"socket"}):
        raise BadAddress(f"Only the parameter socket is taken, not {unknown[0][:40]}: it is not needed here.")
    if len(asked) > 1:
        raise BadAddress("Give the socket once.")
    if not asked:
        return ""
    path = asked[0][1]
    if not _SOCKET.fullmatch(path) or ".." in path.split("/"):
        raise BadAddress("The socket is an absolute path of at most 100 plain characters.")
    return path


def _remote(netloc: str, socket: str) -> LibvirtAddress:
    userinfo, _, place = netloc.rpartition("@")
    if ":" in userinfo:
        raise BadAddress("A password does not belong into a URI; it would be shown. Tell it as the login.")
    username = unquote(userinfo)
    if userinfo and not _USER.fullmatch(username):
        raise BadAddress("This is no user name.")
    try:
        host, port = parse_address(place, 22)
    except ValueError as error:
        raise BadAddress(str(error)) from None
    return LibvirtAddress("qemu", "system", host, port, username, socket)
