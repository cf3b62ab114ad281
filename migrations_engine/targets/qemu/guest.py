"""What every target asks of a guest through its agent, however the agent is reached."""

from collections.abc import Sequence

from migrations_engine.domain.guest_report import UnreadableReport
from migrations_engine.domain.machine import (
    Applied,
    GuestReport,
    MachineRef,
    Result,
    ScriptOutput,
    SecurityGroup,
)
from migrations_engine.domain.software import Inventory
from migrations_engine.targets.base import KeepAlive, TargetError, no_keep_alive
from migrations_engine.targets.qemu import inside, jobs, software
from migrations_engine.targets.qemu.agent import Agent

GUEST_CAPS = frozenset({"guest_exec", "script_output", "security_groups", "qos"})


class InGuest:
    """The verbs of `Target` that are about a running guest."""

    def agent(self, ref: MachineRef) -> Agent:
        """Raises MachineMissing."""
        raise NotImplementedError

    def run(
        self,
        ref: MachineRef,
        script: str,
        timeout_s: float,
        once_key: str | None = None,
        keep_alive: KeepAlive = no_keep_alive,
    ) -> Result:
        return jobs.run_script(self.agent(ref), script, timeout_s, once_key, keep_alive)

    def script_output(self, ref: MachineRef, once_key: str, max_bytes: int) -> ScriptOutput:
        return jobs.script_output(self.agent(ref), once_key, max_bytes)

    def stop_script(self, ref: MachineRef, once_key: str) -> None:
        jobs.stop_script(self.agent(ref), once_key)

    def guest_report(self, ref: MachineRef) -> GuestReport:
        try:
            return inside.report(self.agent(ref))
        except UnreadableReport as error:
            raise TargetError(str(error)) from error

    def inventory(
        self,
        ref: MachineRef,
        names: Sequence[str],
        brought: Sequence[str] = (),
        keep_alive: KeepAlive = no_keep_alive,
    ) -> Inventory:
        folder = software.bundle(ref.key, {}).folder if brought else ""
        return software.inventory(self.agent(ref), names, folder, keep_alive)

    def set_default_kernel(self, ref: MachineRef, version: str) -> None:
        inside.set_default_kernel(self.agent(ref), version)

    def apply_security_groups(self, ref: MachineRef, groups: tuple[SecurityGroup, ...]) -> Applied:
        return inside.apply_security_groups(self.agent(ref), groups)

    def apply_bandwidth(self, ref: MachineRef, mbps: int) -> Applied:
        return inside.apply_bandwidth(self.agent(ref), mbps)
