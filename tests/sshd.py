"""A real OpenSSH server of one's own, as whoever runs the tests: a free loopback port, own keys, gone afterwards.

    with sshd() as server:
        server.port, server.host_key, server.private_key, server.username

It listens on every loopback address: 127.0.0.1, 127.0.0.2 … are as many hosts as a test wants.
"""

import getpass
import os
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.servers import Server, free_port, running

PROGRAM = "/usr/sbin/sshd"
DYING_WITH_US = ["setpriv", "--pdeathsig", "KILL"]


@dataclass
class Sshd:
    server: Any
    folder: Path
    port: int
    username: str
    private_key: str
    host_key: str

    def new_host_key(self) -> str:
        """As after a reinstallation, or with somebody between. Returns the new public key."""
        self.server.stop()
        self.host_key = make_key(self.folder / "host", again=True)
        self.server.start()
        return self.host_key


def make_key(path: Path, *, again: bool = False) -> str:
    if again:
        path.unlink()
        path.with_suffix(".pub").unlink()
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", path], check=True)
    return path.with_suffix(".pub").read_text().strip()


@contextmanager
def sshd(*options: str, instead: Mapping[str, Path] | None = None) -> Iterator[Sshd]:
    """`options`: lines of its configuration, before the usual ones: of two the first counts. `instead`: path → the file
    or folder that it and whoever logs in there see in its place (root only)."""
    with tempfile.TemporaryDirectory(prefix="personas-sshd-") as top:
        folder = Path(top) / "data"
        folder.mkdir(mode=0o700)
        host_key, user_key = make_key(folder / "host"), make_key(folder / "user")
        (folder / "authorized").write_text(user_key + "\n")
        port = free_port()
        (folder / "config").write_text("\n".join([*options, *configuration(folder, port), ""]))
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(
                mode=0o755, exist_ok=True
            )  # root's sshd wants it for its unprivileged half
        server = Server(
            name="sshd",
            command=[*DYING_WITH_US, *seeing(instead or {}), PROGRAM, "-D", "-e", "-f", str(folder / "config")],
            folder=folder,
            port=port,
            url="",
            answers=lambda: greets(port),
        )
        with running(server):
            private_key = (folder / "user").read_text()
            yield Sshd(server, folder, port, getpass.getuser(), private_key, host_key)


def seeing(instead: Mapping[str, Path]) -> list[str]:
    """A command's beginning, by which it runs in a mount namespace of its own: this machine's files stay as they
    are."""
    if not instead:
        return []
    binds = " && ".join(f"mount --bind '{ours}' '{path}'" for path, ours in instead.items())
    return ["unshare", "--mount", "sh", "-c", f'{binds} && exec "$@"', "sshd"]


def configuration(folder: Path, port: int) -> list[str]:
    return [
        f"Port {port}",
        "ListenAddress 0.0.0.0",
        f"HostKey {folder}/host",
        f"AuthorizedKeysFile {folder}/authorized",
        f"PidFile {folder}/pid",
        f"SetEnv HOME={folder}",  # not the .bashrc of whoever runs the tests: some take a second
        "StrictModes no",
        "UsePAM no",
        "PasswordAuthentication no",
        "PermitRootLogin prohibit-password",
        "MaxStartups 300:30:500",
        "MaxSessions 300",
        "LogLevel ERROR",
    ]


def greets(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False
