"""Ports that services listen on, as their configuration files say. It is read, not observed.

One function per kind of configuration: text in, (line number, protocol, address, port) out. DAEMONS ties
them to the files, and to the units of which one must be enabled for the port to count.
"""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

_EVERY_ADDRESS = {"", "*", "0", "::", "0.0.0.0"}  # noqa: S104 - read from a disk, bound by nobody here

Found = tuple[int, str, str, int]  # line, "tcp" | "udp", address ("*" = all), port


class Daemon(NamedTuple):
    service: str
    files: tuple[str, ...]  # paths with * in them
    units: tuple[str, ...]  # without suffix; a trailing @ stands for any instance
    parse: Callable[[str], Iterator[Found]]
    defaults: tuple[tuple[str, str, int], ...] = ()  # (protocol, address, port) where no file says otherwise
    program: str = ""  # must exist for the defaults to count


def split_address(text: str) -> tuple[str, int | None]:
    """("*", 80) of "80", "*:80", "[::]:80"; ("10.0.0.1", 5432) of "10.0.0.1:5432"; port None: there is none."""
    text = text.strip().strip("\"'")
    bracketed = re.fullmatch(r"\[([^\]]*)\](?::(\d{1,5}))?", text)
    if bracketed:
        return _address(bracketed[1]), _port(bracketed[2])
    if text.isdigit():
        return "*", _port(text)
    address, colon, port = text.rpartition(":")
    if colon and port.isdigit() and ":" not in address:
        return _address(address), _port(port)
    return _address(text), None


def _address(text: str) -> str:
    return "*" if text in _EVERY_ADDRESS else text


def _port(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and 1 <= int(text) <= 65535 else None


def _lines(text: str, comment: str = "#") -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.splitlines(), start=1):
        line = line.split(comment)[0].strip()
        if line:
            yield number, line


def nginx(text: str) -> Iterator[Found]:
    for number, line in _lines(text):
        for value in re.findall(r"(?:^|[\s{;])listen\s+([^;{}]+);", " " + line):
            first, *options = value.split()
            address, port = split_address(first)
            if not first.startswith("unix:"):
                yield number, "udp" if {"quic", "udp"} & set(options) else "tcp", address, port or 80


def apache(text: str) -> Iterator[Found]:
    depth_of_tls = 0
    for number, line in _lines(text):
        lowered = line.lower()
        if lowered.startswith("<ifmodule"):
            depth_of_tls += 1
        elif lowered.startswith("</ifmodule"):
            depth_of_tls -= 1
        elif lowered.startswith("listen ") and depth_of_tls <= 0:  # a module that may be off: not counted
            address, port = split_address(line.split()[1])
            if port:
                yield number, "tcp", address, port


def sshd(text: str) -> Iterator[Found]:
    ports, addresses = [], []
    for number, line in _lines(text):
        key, _, value = line.replace("=", " ").partition(" ")
        if key.lower() == "match":
            break
        if key.lower() == "port" and _port(value.strip()):
            ports.append((number, int(value)))
        elif key.lower() == "listenaddress":
            addresses.append((number, *split_address(value.split()[0] if value.split() else "")))
    for number, port in ports if not addresses else ():
        yield number, "tcp", "*", port
    for number, address, port in addresses:
        for each in [port] if port else [value for _, value in ports] or [22]:
            yield number, "tcp", address, each


def _assignments(text: str, comment: str = "#") -> dict[str, tuple[int, str]]:
    """The last value of each `key = value`, `key: value` or `key value` line, with its line number."""
    found = {}
    for number, line in _lines(text, comment):
        match = re.match(r"([A-Za-z][\w.-]*)\s*(?:[=:]\s*|\s+)(.+)$", line)
        if match:
            found[match[1].lower().replace("-", "_")] = (number, match[2].strip().strip("\"'"))
    return found


def _ported(
    text: str, port_key: str, address_key: str, *, port: int, address: str, always: bool = True
) -> Iterator[Found]:
    """One port and a list of addresses under their keys. `always`: an unset port still listens on the default."""
    values = _assignments(text)
    line, chosen = values.get(port_key, (values.get(address_key, (0, ""))[0], str(port)))
    if not _port(chosen) or not (always or port_key in values):
        return
    addresses = values.get(address_key, (0, address))[1]
    for each in re.split(r"[,\s]+", addresses):
        if each and not each.startswith("/"):
            yield line, "tcp", _address(each.removeprefix("-")), int(chosen)


def postgresql(text: str) -> Iterator[Found]:
    return _ported(text, "port", "listen_addresses", port=5432, address="localhost")


def redis(text: str) -> Iterator[Found]:
    return _ported(text, "port", "bind", port=6379, address="*")


def mysql(text: str) -> Iterator[Found]:
    server = "".join(
        section if name.lower() in ("mysqld", "mariadb", "mariadbd", "server") else "\n" * section.count("\n")
        for name, section in _sections(text)
    )
    if not re.search(
        r"^\s*skip[-_]networking\s*(=\s*(1|on|true))?\s*$", server, re.MULTILINE | re.IGNORECASE
    ):
        values = _assignments(server)
        if "port" in values or "bind_address" in values:
            yield from _ported(server, "port", "bind_address", port=3306, address="*")


def _sections(text: str) -> Iterator[tuple[str, str]]:
    name, lines = "", []
    for line in text.splitlines(keepends=True):
        match = re.match(r"\s*\[([^\]]+)\]", line)
        if match:
            yield name, "".join(lines)
            name, lines = match[1], ["\n"]
        else:
            lines.append(line)
    yield name, "".join(lines)


def mongod(text: str) -> Iterator[Found]:
    return _ported(text, "port", "bindip", port=27017, address="localhost")


def memcached(text: str) -> Iterator[Found]:
    port, address, where = 11211, "*", 0
    for number, line in _lines(text):
        words = line.split()
        if words[0] == "-p" and len(words) > 1 and _port(words[1]):
            port, where = int(words[1]), number
        elif words[0] == "-l" and len(words) > 1:
            address, where = _address(words[1]), number
    yield where, "tcp", address, port


def postfix(text: str) -> Iterator[Found]:
    known = {"smtp": 25, "smtps": 465, "submission": 587, "submissions": 465}
    for number, line in _lines(text):
        words = line.split()
        if len(words) >= 8 and words[1] == "inet":
            address, _, service = words[0].rpartition(":")
            port = known.get(service) or _port(service)
            if port:
                yield number, "tcp", _address(address.strip("[]")), port


def haproxy(text: str) -> Iterator[Found]:
    for number, line in _lines(text):
        match = re.match(r"bind\s+(\S+)", line)
        for value in match[1].split(",") if match else ():
            address, port = split_address(value)
            if port and not value.startswith("/"):
                yield number, "tcp", address, port


def squid(text: str) -> Iterator[Found]:
    for number, line in _lines(text):
        match = re.match(r"https?_port\s+(\S+)", line)
        if match:
            address, port = split_address(match[1])
            if port:
                yield number, "tcp", address, port


def tomcat(text: str) -> Iterator[Found]:
    text = re.sub(r"<!--.*?-->", lambda comment: "\n" * comment[0].count("\n"), text, flags=re.DOTALL)
    for match in re.finditer(r"<Connector\s[^>]*?\bport=\"(\d{1,5})\"[^>]*>", text):
        port, address = _port(match[1]), re.search(r"\baddress=\"([^\"]+)\"", match[0])
        if port:
            yield (
                text.count("\n", 0, match.start()) + 1,
                "tcp",
                _address(address[1]) if address else "*",
                port,
            )


def dovecot(text: str) -> Iterator[Found]:
    for number, line in _lines(text):
        match = re.match(r"port\s*=\s*(\d+)$", line)
        if match and _port(match[1]):
            yield number, "tcp", "*", int(match[1])


def nothing(text: str) -> Iterator[Found]:
    """For a daemon whose port is known only by default."""
    return iter(())


DAEMONS = (
    Daemon(
        "ssh",
        ("/etc/ssh/sshd_config", "/etc/ssh/sshd_config.d/*.conf"),
        ("ssh", "sshd"),
        sshd,
        (("tcp", "*", 22),),
        "/usr/sbin/sshd",
    ),
    Daemon(
        "nginx",
        (
            "/etc/nginx/nginx.conf",
            "/etc/nginx/conf.d/*.conf",
            "/etc/nginx/sites-enabled/*",
            "/etc/nginx/http.d/*.conf",
        ),
        ("nginx",),
        nginx,
    ),
    Daemon(
        "apache",
        (
            "/etc/apache2/ports.conf",
            "/etc/httpd/conf/httpd.conf",
            "/etc/httpd/conf.d/*.conf",
            "/etc/apache2/listen.conf",
        ),
        ("apache2", "httpd"),
        apache,
    ),
    Daemon(
        "postgresql",
        (
            "/etc/postgresql/*/*/postgresql.conf",
            "/var/lib/pgsql/data/postgresql.conf",
            "/var/lib/pgsql/*/data/postgresql.conf",
        ),
        ("postgresql", "postgresql@", "postgresql-*"),
        postgresql,
    ),
    Daemon(
        "mysql",
        ("/etc/my.cnf", "/etc/my.cnf.d/*.cnf", "/etc/mysql/my.cnf", "/etc/mysql/*.conf.d/*.cnf"),
        ("mysql", "mysqld", "mariadb"),
        mysql,
        (("tcp", "*", 3306),),
        "/usr/sbin/mysqld",
    ),
    Daemon("redis", ("/etc/redis/redis.conf", "/etc/redis.conf"), ("redis", "redis-server"), redis),
    Daemon("mongodb", ("/etc/mongod.conf", "/etc/mongodb.conf"), ("mongod", "mongodb"), mongod),
    Daemon("memcached", ("/etc/memcached.conf",), ("memcached",), memcached),
    Daemon("postfix", ("/etc/postfix/master.cf",), ("postfix", "postfix@"), postfix),
    Daemon("haproxy", ("/etc/haproxy/haproxy.cfg",), ("haproxy",), haproxy),
    Daemon("squid", ("/etc/squid/squid.conf",), ("squid",), squid),
    Daemon(
        "tomcat",
        ("/etc/tomcat*/server.xml", "/opt/tomcat*/conf/server.xml"),
        ("tomcat", "tomcat9", "tomcat10"),
        tomcat,
    ),
    Daemon("dovecot", ("/etc/dovecot/conf.d/10-master.conf",), ("dovecot",), dovecot),
    Daemon(
        "node-exporter",
        (),
        ("prometheus-node-exporter", "node_exporter"),
        nothing,
        (("tcp", "*", 9100),),
    ),
    Daemon("rabbitmq", (), ("rabbitmq-server",), nothing, (("tcp", "*", 5672),)),
    Daemon("samba", (), ("smbd", "smb"), nothing, (("tcp", "*", 445),)),
    Daemon("nfs", (), ("nfs-server", "nfs-kernel-server"), nothing, (("tcp", "*", 2049),)),
    Daemon("bind", (), ("named", "bind9"), nothing, (("tcp", "*", 53), ("udp", "*", 53))),
    Daemon(
        "vsftpd", ("/etc/vsftpd.conf", "/etc/vsftpd/vsftpd.conf"), ("vsftpd",), nothing, (("tcp", "*", 21),)
    ),
    Daemon("docker", (), ("docker-tcp",), nothing, (("tcp", "*", 2375),)),
)
