"""The guest agent of a machine that libvirt keeps: libvirt holds its port, and passes on what is asked."""

import json
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from migrations_engine.targets.base import AgentUnavailable, MachineFailed
from migrations_engine.targets.libvirt.link import LibvirtFailed, Link
from migrations_engine.targets.qemu.agent import Agent, AgentRefused, Turn, answer

STOPPED = ("not_running", "gone")  # an agent may come back, a machine that has stopped does not
SAYS_NO = "unable to execute QEMU agent command"  # libvirt's words for an error that the agent itself answered


@dataclass(frozen=True)
class LibvirtAgent(Agent):
    link: Link
    uuid: str

    @contextmanager
    def turn(self, deadline: float) -> Iterator[Turn]:
        yield LibvirtTurn(self.link, self.uuid)  # libvirt synchronises with the agent before each command


@dataclass(frozen=True)
class LibvirtTurn:
    link: Link
    uuid: str

    def ask(self, command: str, arguments: dict, deadline: float) -> object:
        seconds = max(1, math.ceil(deadline - time.monotonic()))
        request = json.dumps({"execute": command} | ({"arguments": arguments} if arguments else {}))
        quoted = request.replace("'", "\\u0027")
        try:
            # typed: scripts may be long, and hold what a list of processes must not show
            reply = self.link.type(
                f"qemu-agent-command {self.uuid} --timeout {seconds} '{quoted}'", timeout_s=seconds + 30
            )
        except LibvirtFailed as error:
            if error.kind in STOPPED:
                raise MachineFailed(f"the machine has stopped: {error}") from error
            kind = AgentRefused if SAYS_NO in str(error) else AgentUnavailable
            raise kind(f"the guest agent does not answer to {command}: {error}") from error
        return answer(command, json.loads(reply))
