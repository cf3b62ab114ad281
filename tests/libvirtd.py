"""A private libvirtd with emulated QEMU: own configuration, state, log and socket, gone with all its guests afterwards.

    with libvirtd() as server:
        server.uri                          # qemu+unix:///system?socket=…, what an endpoint is told
        server.virsh("list", "--all")       # as a person at its host would
        server.kill_daemon()                # kill -9 of libvirtd alone: guests go on; it comes back as under systemd

It is root's qemu:///system in a mount and process namespace of its own: /run/libvirt, /var/lib/libvirt, /etc/libvirt
of this machine stay untouched, paths of disks mean the same on both sides, and whatever it started ends with it. As
another account than root it runs in a user namespace, where it can do all but networks and filters.
"""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.servers import Server, private_folder, running

CACHE = Path(__file__).resolve().parent.parent / "var/cache/libvirt"  # what each QEMU can do: 5 s to ask

# what Debian's libvirt-daemon-system would set up, less its services, accounts and confinement
DAEMON = """\
unix_sock_dir = "{sockets}"
unix_sock_rw_perms = "0700"
auth_unix_rw = "none"
auth_unix_ro = "none"
host_uuid_source = "machine-id"
log_outputs = "2:stderr"
"""
QEMU = """\
user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
stdio_handler = "file"
namespaces = []
cgroup_controllers = []
"""
ACCOUNT = "libvirt-qemu:x:64055:64055::/nonexistent:/usr/sbin/nologin\n"  # it must exist; nothing runs as it
GROUP = "libvirt-qemu:x:64055:\n"
FOREVER = 'while :; do libvirtd --config "$1" --pid-file /run/libvirtd.pid; sleep 0.2; done'


@dataclass
class Libvirtd:
    server: Server
    folder: Path

    @property
    def socket(self) -> Path:
        return self.folder / "sockets/libvirt-sock"

    @property
    def uri(self) -> str:
        return f"qemu+unix:///system?socket={self.socket}"

    def virsh(self, *words: str, check: bool = True, stdin: str = "") -> str:
        """Its standard output. Raises CalledProcessError, with stderr."""
        answer = subprocess.run(
            ["virsh", "--quiet", "--connect", self.uri, *words],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=check,
        )
        return answer.stdout.strip()

    def state(self, name: str) -> str:
        """ "running", "shut off", "paused" …"""
        return self.virsh("domstate", name)

    def remove(self, name: str) -> None:
        """As if it had never been there; its disks stay."""
        self.virsh("destroy", name, check=False)
        self.virsh("undefine", name, "--nvram", "--checkpoints-metadata", "--snapshots-metadata", check=False)

    def kill_daemon(self) -> None:
        """SIGKILL to libvirtd; a new one takes over its guests. Returns when the old one is gone."""
        for pid in self.daemons():
            os.kill(pid, signal.SIGKILL)

    def daemons(self) -> list[int]:
        """The process id of libvirtd alone."""
        return [pid for pid in _below(self.server.process.pid) if _program(pid) == "libvirtd"]

    def answers(self) -> bool:
        if not self.socket.exists():
            return False
        return (
            subprocess.run(
                ["virsh", "--quiet", "--connect", self.uri, "uri"],
                capture_output=True,
                timeout=60,
                check=False,
            ).returncode
            == 0
        )


@contextmanager
def libvirtd(*, own_network: bool = False) -> Iterator[Libvirtd]:
    """`own_network`: bridges and filters of its own (as root); user networking then reaches nothing of this machine.
    Raises ServerFailed."""
    with private_folder("libvirt", None) as (folder, _):
        for name in ("etc", "sockets", "log", "state", "run"):
            (folder / name).mkdir(mode=0o700)
        CACHE.mkdir(parents=True, exist_ok=True)
        (folder / "libvirtd.conf").write_text(DAEMON.format(sockets=folder / "sockets"))
        (folder / "etc/qemu.conf").write_text(QEMU)
        _with_account("/etc/passwd", ACCOUNT, folder / "passwd")
        _with_account("/etc/group", GROUP, folder / "group")
        server = Server(
            name="libvirtd",
            command=[
                *_namespace(folder, own_network),
                "sh",
                "-c",
                FOREVER,
                "sh",
                str(folder / "libvirtd.conf"),
            ],
            folder=folder,
            port=0,
            url="",
            answers=lambda: found.answers(),
        )
        found = Libvirtd(server, folder)
        with running(server):
            yield found


def _namespace(folder: Path, own_network: bool) -> list[str]:
    """bwrap ends with this process, and with it everything that runs inside."""
    binds = {
        "etc": "/etc/libvirt",
        "state": "/var/lib/libvirt",
        "log": "/var/log/libvirt",
        "run": "/run/libvirt",
    }
    private = [word for name, place in binds.items() for word in ("--bind", str(folder / name), place)]
    accounts = [
        "--ro-bind",
        str(folder / "passwd"),
        "/etc/passwd",
        "--ro-bind",
        str(folder / "group"),
        "/etc/group",
    ]
    return [
        *("bwrap", "--die-with-parent", "--unshare-pid", "--unshare-ipc"),
        *([] if os.geteuid() == 0 else ["--unshare-user", "--uid", "0", "--gid", "0"]),
        *(["--unshare-net"] if own_network else []),
        *("--dev-bind", "/", "/", "--proc", "/proc", "--tmpfs", "/run", "--tmpfs", "/var/cache"),
        *("--tmpfs", "/var/lib", "--tmpfs", "/var/log"),
        *private,
        *("--bind", str(CACHE), "/var/cache/libvirt"),
        *accounts,
    ]


def _with_account(table: str, line: str, copy: Path) -> None:
    text = Path(table).read_text()
    copy.write_text(text if "libvirt-qemu:" in text else text + line)


def _below(pid: int) -> list[int]:
    """All descendants of a process, by this machine's process ids."""
    try:
        children = [
            int(child)
            for tasks in Path(f"/proc/{pid}/task").glob("*/children")
            for child in tasks.read_text().split()
        ]
    except OSError:
        return []
    return [each for child in children for each in (child, *_below(child))]


def _program(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""
