"""Looks into running machines over SSH, one or a hundred at once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from analyzer.models import SourceEndpoint, SshHost, VirtualMachine
from analyzer.services.ssh_access import door_of, jump_of, login_of, outcomes_keep
from analyzer.sources.ssh import Denied, Door, Login, Outcome, looks
from personas.errors import Refused

NOT_LISTED = Denied("the source does not list this machine any more")


@dataclass(frozen=True)
class Look:
    """What is needed to look, read from the database before: `take` runs in a thread that touches none."""

    source: SourceEndpoint
    login: Login | None
    jump: Door | None
    hosts: dict[VirtualMachine, SshHost]
    refused: dict[VirtualMachine, Denied]

    def take(self, done: Callable[[VirtualMachine, Outcome], None]) -> None:
        """`done(vm, outcome)` for each machine as soon as it has answered."""
        for vm, outcome in self.refused.items():
            done(vm, outcome)
        by_door = {door_of(host): vm for vm, host in self.hosts.items()}
        if by_door:
            looks(list(by_door), self.jump, self.login, done=lambda door, told: done(by_door[door], told))

    def keep(self, outcomes: dict[VirtualMachine, Outcome]) -> None:
        """Onto the doors, for the source's page."""
        outcomes_keep({host: outcomes[vm] for vm, host in self.hosts.items() if vm in outcomes})


def look_prepare(source: SourceEndpoint, vms: Sequence[VirtualMachine]) -> Look:
    listed = {str(host): host for host in source.ssh_hosts.filter(is_jump=False)}
    refused = {vm: NOT_LISTED for vm in vms if vm.external_id not in listed}
    hosts = {vm: listed[vm.external_id] for vm in vms if vm not in refused}
    try:
        return Look(source, login_of(source), jump_of(source), hosts, refused)
    except Refused as error:
        return Look(source, None, None, {}, refused | {vm: Denied(error.message) for vm in hosts})
