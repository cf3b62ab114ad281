"""The questions that a guest is asked about itself, and the reading of its answer. Any POSIX sh, busybox too."""

from migrations_engine.domain.machine import GuestDisk, GuestReport

QUESTIONS = r"""
say() { printf '\n@%s\n' "$1"; }
say kernel; uname -r
say vcpus; grep -c '^processor' /proc/cpuinfo
say memory_kib; sed -n 's/^MemTotal: *\([0-9]*\).*/\1/p' /proc/meminfo
say hostname; cat /proc/sys/kernel/hostname
say os_release; cat /etc/os-release 2>/dev/null
say modules; cut -d' ' -f1 /proc/modules
say mounts; cut -d' ' -f1-3 /proc/mounts
say root_disk_sectors
while read -r id parent device root mount rest; do [ "$mount" = / ] && number=$device; done < /proc/self/mountinfo
node=$(readlink -f "/sys/dev/block/$number")
[ -e "$node/partition" ] && node=${node%/*}
cat "$node/size" 2>/dev/null
say disks
for disk in /sys/block/*; do
    case ${disk##*/} in loop*|ram*|zram*|dm-*|md*|sr*|fd*|nbd*) continue ;; esac
    serial=$(cat "$disk/serial" 2>/dev/null || tr -cd '[:alnum:]' < "$disk/device/vpd_pg80" 2>/dev/null)
    echo "${disk##*/} $(cat "$disk/size") $serial"
done
say fstab; while read -r device point kind options rest; do
    case $device in ''|'#'*) ;; *) echo "$point $kind $options" ;; esac
done 2>/dev/null < /etc/fstab
say root_filesystem_kib; df -kP / | sed -n '2s/  */ /gp' | cut -d' ' -f2
say failed; systemctl list-units --failed --plain --no-legend --no-pager 2>/dev/null | cut -d' ' -f1
say kernels
for folder in /lib/modules/*; do [ -e "/boot/vmlinuz-${folder##*/}" ] && echo "${folder##*/}"; done
say addresses; ip -o address show scope global 2>/dev/null | sed 's/  */ /g' | cut -d' ' -f2,4
say end
"""


class UnreadableReport(ValueError):
    """The guest's answer is not whole."""


def parse_report(text: str) -> GuestReport:
    """Raises UnreadableReport when the end is missing or a number is not one."""
    sections = _sections(text)
    if "end" not in sections:
        raise UnreadableReport("the guest's report breaks off")
    try:
        return GuestReport(
            kernel=sections["kernel"][0],
            vcpus=int(sections["vcpus"][0]),
            memory_mib=int(sections["memory_kib"][0]) // 1024,
            root_disk_bytes=_number(sections["root_disk_sectors"], 512),
            root_filesystem_bytes=_number(sections["root_filesystem_kib"], 1024),
            hostname=next(iter(sections["hostname"]), ""),
            os_release=_os_release(sections["os_release"]),
            modules=tuple(sections["modules"]),
            mounts=tuple(sections["mounts"]),
            failed_units=tuple(sections["failed"]),
            kernels=tuple(sections["kernels"]),
            addresses=tuple(sections["addresses"]),
            disks=tuple(_guest_disk(line) for line in sections["disks"]),
            fstab=tuple(sections["fstab"]),
        )
    except (IndexError, KeyError, ValueError) as error:
        raise UnreadableReport(f"the guest's report cannot be read: {error!r}") from error


def _sections(text: str) -> dict[str, list[str]]:
    sections: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith("@"):
            lines = sections.setdefault(line[1:], [])
        elif line.strip():
            lines.append(line.strip())
    return sections


def _guest_disk(line: str) -> GuestDisk:
    name, sectors, *serial = line.split()
    return GuestDisk(name, int(sectors) * 512, serial[0] if serial else "")


def _number(lines: list[str], unit: int) -> int | None:
    return int(lines[0]) * unit if lines else None


def _os_release(lines: list[str]) -> dict[str, str]:
    pairs = (line.split("=", 1) for line in lines if "=" in line)
    return {name: value.strip("\"'") for name, value in pairs}


def memory_as_asked(seen_mib: int, asked_mib: int) -> bool:
    """Whether MemTotal fits the memory given: a kernel keeps its own code and page tables out of that figure.

    Measured on Debian's cloud kernel: 33 MiB of 256, 62 of 1024, 150 of 8192; crash kernels take up to 256 more.
    """
    most_kept = 64 + asked_mib // 16
    return asked_mib - most_kept <= seen_mib <= asked_mib
