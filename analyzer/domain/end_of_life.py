"""Until when a distribution gets security updates that everybody has: no paid extension counted.

Debian (LTS, by volunteers for all) and Ubuntu are the dates of Debian's package distro-info-data 2026-07; the others
are their makers' own, as named in SOURCES. A release that is not listed is not judged.
"""

from datetime import date

SOURCES = {
    "debian": "distro-info-data, wiki.debian.org/LTS",
    "ubuntu": "distro-info-data, ubuntu.com/about/release-cycle",
    "rhel": "access.redhat.com/support/policy/updates/errata",
    "centos": "centos.org/centos-linux-eol",
    "rocky": "wiki.rockylinux.org/rocky/version",
    "almalinux": "wiki.almalinux.org/release-notes",
    "fedora": "docs.fedoraproject.org/en-US/releases/eol",
    "opensuse-leap": "en.opensuse.org/Lifetime",
    "sles": "suse.com/lifecycle",
    "alpine": "alpinelinux.org/releases",
    "amzn": "aws.amazon.com/amazon-linux-2/faqs",
}
ENDS = {
    "debian": {
        "7": "2018-05-31", "8": "2020-06-30", "9": "2022-06-30", "10": "2024-06-30", "11": "2026-08-31",
        "12": "2028-06-30", "13": "2030-06-30",
    },
    "ubuntu": {
        "14.04": "2019-04-25", "16.04": "2021-04-29", "18.04": "2023-05-31", "20.04": "2025-05-29",
        "22.04": "2027-06-01", "22.10": "2023-07-20", "23.04": "2024-01-25", "23.10": "2024-07-11",
        "24.04": "2029-05-31", "24.10": "2025-07-10", "25.04": "2026-01-15", "25.10": "2026-07-09",
        "26.04": "2031-05-29",
    },
    "rhel": {"6": "2020-11-30", "7": "2024-06-30", "8": "2029-05-31", "9": "2032-05-31", "10": "2035-05-31"},
    "centos": {"6": "2020-11-30", "7": "2024-06-30", "8": "2024-05-31"},
    "rocky": {"8": "2029-05-31", "9": "2032-05-31", "10": "2035-05-31"},
    "almalinux": {"8": "2029-05-31", "9": "2032-05-31", "10": "2035-05-31"},
    "fedora": {"36": "2023-05-16", "37": "2023-12-05", "38": "2024-05-21", "39": "2024-11-26", "40": "2025-05-13"},
    "opensuse-leap": {"15.3": "2022-12-31", "15.4": "2023-12-07", "15.5": "2024-12-31"},
    "sles": {"11": "2019-03-31", "12": "2024-10-31"},
    "alpine": {
        "3.15": "2023-11-01", "3.16": "2024-05-23", "3.17": "2024-11-22", "3.18": "2025-05-09",
        "3.19": "2025-11-01", "3.20": "2026-04-01", "3.21": "2026-11-01", "3.22": "2027-05-01",
    },
    "amzn": {"2018.03": "2023-12-31", "2": "2026-06-30"},
}  # fmt: skip


def end_of_life(os_id: str, version: str) -> tuple[date, str] | None:
    """(last day of updates, who says so) of "debian" "12.5", of the release that the version is a point release of."""
    releases = ENDS.get(os_id, {})
    words = version.split(".")
    for length in range(len(words), 0, -1):
        if end := releases.get(".".join(words[:length])):
            return date.fromisoformat(end), SOURCES[os_id]
    return None
