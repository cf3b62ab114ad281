"""A hundred running machines over SSH, beside a plain loop of the ssh program with the same script: connections to one
real sshd, so that all hundred scripts run on this machine too. On real hosts they run on theirs."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

from analyzer.sources.ssh import SCRIPT, Door, Login, Seen, looks
from tests.bench.frame import Benchmark, Figure, Side, race
from tests.sshd import Sshd, sshd

HOSTS = 100
WANTED_S = 15


def measure(scratch: Path, rounds: int) -> Iterator[Figure]:
    with sshd() as server:
        doors = [Door(f"127.0.0.{number}", server.port, server.host_key) for number in range(1, HOSTS + 1)]
        login = Login(server.username, private_key=server.private_key)

        def ours():
            assert all(isinstance(each, Seen) for each in looks(doors, None, login).values())

        def peer():
            for door in doors:
                subprocess.run(command(server, scratch, door), input=SCRIPT, check=True, capture_output=True)

        figure = race(
            "scan of 100 hosts", Side("scan", ours), Side("ssh loop", peer), rounds=rounds, at_least=2
        )
        yield figure
        yield Figure(
            "seconds for 100 hosts", sorted(figure.seconds["scan"])[rounds // 2], "s", at_most=WANTED_S
        )


def command(server: Sshd, scratch: Path, door: Door) -> list[str]:
    known = scratch / "known_hosts"
    known.write_text(f"[{door.host}]:{door.port} {server.host_key}\n")
    options = [f"UserKnownHostsFile={known}", "BatchMode=yes", "IdentitiesOnly=yes", "LogLevel=ERROR"]
    key = server.folder / "user"
    told = [part for option in options for part in ("-o", option)]
    where = ["-i", str(key), "-p", str(door.port), f"{server.username}@{door.host}"]
    return ["ssh", "-F", "none", *told, *where, "sh -s t"]


BENCHMARK = Benchmark(
    "ssh-scan", "How long do a hundred hosts take over SSH?", measure, rounds=1, packages=("test",)
)
