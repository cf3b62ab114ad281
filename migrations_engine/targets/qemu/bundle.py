"""Packages brought to a guest: its own dpkg installs them at the first boot, without a network and without a question.

The package database stays true, the packages' own scripts run as they would by hand, and nothing of a foreign disk
runs on this machine.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

HOME = "/var/lib/migration-personas"
# dpkg waits for nobody: whoever else installs at this boot (cloud-init, unattended-upgrades) is let finish. What must
# be configured before another package may be unpacked (Pre-Depends) takes a turn of its own.
SCRIPT = """\
#!/bin/sh
cd @folder@ || exit 1
export DEBIAN_FRONTEND=noninteractive LC_MESSAGES=C HOME="${HOME:-/root}"
set -- ./*.deb
if [ -e "$1" ]; then
    rm -f exit_code
    turns=0 waits=0
    until dpkg --force-confdef --force-confold --install "$@" </dev/null >log 2>&1; do
        if grep -q 'locked by another process' log && [ "$waits" -lt 60 ]; then
            waits=$((waits + 1))
            sleep 5
        elif grep -q 'pre-dependency' log && [ "$turns" -lt 5 ]; then
            turns=$((turns + 1))
        else
            for console in /dev/console /dev/ttyS0; do
                echo "@failed@: $(grep -m 2 error log | tr '\\n' ' ')" >"$console"
            done 2>/dev/null
            echo 1 >exit_code
            exit 1
        fi
    done
    echo 0 >exit_code
    rm "$@"
fi
@then@"""


@dataclass(frozen=True)
class Bundle:
    """Packages that are installed together. `files`: name in the guest → file here. `failed`: what the guest's console
    says where it could not. `then`: lines of sh after it. `after`: another bundle's name, installed before. `proof`: a
    file that is there when they are installed already."""

    name: str
    files: Mapping[str, Path]
    failed: str
    then: str = ""
    after: str = ""
    proof: str = ""
    holds_boot: bool = False  # the guest counts as started only with it

    @property
    def folder(self) -> str:
        return f"{HOME}/{self.name}"

    @property
    def script(self) -> str:
        filled = SCRIPT.replace("@folder@", self.folder).replace("@failed@", self.failed)
        return filled.replace("@then@", self.then)

    @property
    def service(self) -> str:
        return f"migration-personas-{self.name}.service"

    @property
    def unit(self) -> str:
        """Until the packages are installed, which takes their files away: dpkg can be told the same thing twice.

        One that holds the boot is a oneshot. For another that would end in a circle: a package may start a service that
        itself waits for the boot to end.
        """
        order = f"After=migration-personas-{self.after}.service\n" if self.after else ""
        return f"""\
[Unit]
Description=Packages brought by the migration ({self.name})
After=network.target
{order}ConditionPathExistsGlob={self.folder}/*.deb

[Service]
Type={"oneshot" if self.holds_boot else "simple"}
TimeoutStartSec=infinity
ExecStart={self.folder}/install

[Install]
WantedBy=multi-user.target
"""

    @property
    def told(self) -> str:
        return f"installs {', '.join(self.files)} at the first boot"
