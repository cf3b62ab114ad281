"""What is asked of and done in a running guest through its agent: report, kernels, filters, bandwidth."""

from analyzer.domain import grub
from migrations_engine.domain.boot_menu import with_default, with_default_setting
from migrations_engine.domain.guest_report import QUESTIONS, parse_report
from migrations_engine.domain.machine import Applied, GuestReport, SecurityGroup
from migrations_engine.domain.nftables import TABLE, missing_lines, ruleset
from migrations_engine.targets.base import KernelUnavailable, TargetError
from migrations_engine.targets.qemu.agent import Agent

HOME = "/etc/migration-personas"
MENUS = "/boot/grub/grub.cfg /boot/grub2/grub.cfg"

WRITE = r"""
set -e
mkdir -p "${1%/*}"
cat > "$1.part"
chmod "$2" "$1.part"
mv "$1.part" "$1"
sync
"""
# a unit where there is systemd, enabled once: systemd then reads all of its units again, seconds of an emulated guest;
# else /etc/rc.local, which the older init systems run last
KEEP = r"""
set -e
hook=$1/network.sh
mkdir -p "$1"
cat > "$hook" <<HOOK
#!/bin/sh
# Written by the migration: filters and bandwidth, at every boot.
for part in $1/*.up; do [ -e "\$part" ] && sh "\$part"; done
HOOK
chmod 755 "$hook"
if [ -d /run/systemd/system ]; then
    [ -e /etc/systemd/system/multi-user.target.wants/migration-personas-network.service ] && exit 0
    cat > /etc/systemd/system/migration-personas-network.service <<UNIT
[Unit]
Description=Filters and bandwidth from the migration
After=network.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=$hook

[Install]
WantedBy=multi-user.target
UNIT
    systemctl enable migration-personas-network.service 2>&1
else
    [ -e /etc/rc.local ] || printf '#!/bin/sh\n' > /etc/rc.local
    grep -qF "$hook" /etc/rc.local || echo "$hook" >> /etc/rc.local
    chmod 755 /etc/rc.local
fi
"""
LIMIT = r"""
set -e
device=$(ls /sys/class/net | grep -v '^lo$' | head -n 1)
[ -n "$device" ] || { echo "the guest has no network card" >&2; exit 1; }
cat > "$1/bandwidth.up" <<UP
tc qdisc replace dev $device root tbf rate ${2}mbit burst $3 latency 50ms
UP
sh "$1/bandwidth.up"
tc qdisc show dev "$device"
"""


def report(agent: Agent) -> GuestReport:
    answered = agent.sh(QUESTIONS, timeout_s=60)
    return parse_report(answered.stdout)


def set_default_kernel(agent: Agent, version: str) -> None:
    """Raises KernelUnavailable when the menu does not offer it."""
    found = agent.sh(f"for menu in {MENUS}; do [ -r $menu ] && echo $menu && cat $menu && exit; done; exit 1")
    if found.exit_code:
        raise KernelUnavailable("the guest has no GRUB menu, so its kernel cannot be chosen")
    path, menu = found.stdout.split("\n", 1)
    entry = grub.menu_id_for(grub.parse_menu(menu), version)
    if entry is None:
        raise KernelUnavailable(f"kernel {version} is not in the guest's boot menu")
    settings = agent.sh("cat /etc/default/grub")
    if settings.exit_code == 0:
        write(agent, "/etc/default/grub", with_default_setting(settings.stdout, entry.menu_id))
    write(agent, path, with_default(menu, entry.menu_id), mode="600")


def write(agent: Agent, path: str, text: str, mode: str = "644") -> None:
    """Atomically. Raises TargetError with the guest's own words."""
    _must(agent, WRITE, path, mode, text=text)


def apply_security_groups(agent: Agent, groups: tuple[SecurityGroup, ...]) -> Applied:
    """Loads the filters as one transaction, keeps them over a reboot, and compares what nft then lists."""
    setting = "network.security_groups"
    rules = ruleset(groups)
    _must(agent, KEEP, HOME)
    write(agent, f"{HOME}/filters.nft", rules)
    write(agent, f"{HOME}/filters.up", f"nft -f {HOME}/filters.nft\n")
    loaded = agent.sh(f"nft -f {HOME}/filters.nft")
    if loaded.exit_code:
        return Applied(setting, False, "", f"nft refused the filters: {loaded.stderr.strip()}")
    listed = agent.sh(f"nft list table {TABLE}").stdout
    missing = missing_lines(rules, listed)
    return Applied(setting, not missing, listed, f"not loaded: {'; '.join(missing)}" if missing else "")


def apply_bandwidth(agent: Agent, mbps: int) -> Applied:
    """A token bucket on the guest's card; what it lists is compared with what was asked."""
    _must(agent, KEEP, HOME)
    burst = max(16 * 1024, mbps * 1_000_000 // 8 // 250)  # bytes in 4 ms, the tick of Debian's kernel
    limited = agent.sh(LIMIT, HOME, str(mbps), str(burst))
    if limited.exit_code:
        return Applied("network.bandwidth_mbps", False, "", f"tc refused the limit: {limited.stderr.strip()}")
    observed = limited.stdout.strip()
    return Applied("network.bandwidth_mbps", _rate_mbps(observed) == mbps, observed)


def _rate_mbps(listed: str) -> float | None:
    """ "… tbf 8001: root … rate 1Gbit burst …" → 1000.0"""
    words = listed.split()
    if "rate" not in words:
        return None
    rate = words[words.index("rate") + 1]
    for unit, factor in (("Gbit", 1000.0), ("Mbit", 1.0), ("Kbit", 0.001)):
        if rate.endswith(unit):
            return float(rate.removesuffix(unit)) * factor
    return None


def _must(agent: Agent, script: str, *arguments: str, text: str = "") -> str:
    done = agent.sh(script, *arguments, text=text)
    if done.exit_code:
        raise TargetError(f"the guest could not be set up: {(done.stderr or done.stdout).strip()}")
    return done.stdout
