"""Usage history from what `sadf -j` prints of a sysstat file (`sadf -j FILE -- -u -r -b -n DEV`)."""

import calendar
import itertools
import time

_SECTOR_BYTES = 512  # sar -b counts blocks of 512 bytes (sar(1))
# what these carry reaches a physical card as well, or never leaves the machine
INNER_CARDS = ("lo", "veth", "docker", "br-", "virbr", "vnet", "tap", "ifb", "cali", "flannel", "cni")


def parse_sadf(document: dict) -> dict[str, list[tuple[int, float]]]:
    """Metric -> samples (seconds since 1970 UTC, value), in the units that the metric's name says.

    Raises KeyError, TypeError or ValueError for a document of another shape.
    """
    series: dict[str, list[tuple[int, float]]] = {}
    for host in document["sysstat"]["hosts"]:
        for statistic in host.get("statistics") or ():
            stamp = statistic.get("timestamp")
            if stamp:
                at = _seconds(stamp)
                for metric, value in _values(statistic):
                    series.setdefault(metric, []).append((at, round(value, 3)))
    return series


def _seconds(stamp: dict) -> int:
    """Seconds since 1970; sadf prints UTC unless told otherwise (`utc: 1`)."""
    return calendar.timegm(time.strptime(f"{stamp['date']} {stamp['time']}", "%Y-%m-%d %H:%M:%S"))


def _values(statistic: dict):
    for load in statistic.get("cpu-load") or ():
        if load["cpu"] == "all":
            yield "cpu_percent", 100.0 - float(load["idle"])
    if "memory" in statistic:
        yield "memory_percent", float(statistic["memory"]["memused-percent"])
    disk = statistic.get("io")
    if disk:
        yield "disk_operations_per_s", float(disk["tps"])
        yield "disk_read_bytes_per_s", float(disk["io-reads"]["bread"]) * _SECTOR_BYTES
        yield "disk_write_bytes_per_s", float(disk["io-writes"]["bwrtn"]) * _SECTOR_BYTES
    cards = (statistic.get("network") or {}).get("net-dev") or ()
    cards = [card for card in cards if not card["iface"].startswith(INNER_CARDS)]
    if cards:
        yield "network_receive_bytes_per_s", sum(float(card["rxkB"]) for card in cards) * 1024
        yield "network_transmit_bytes_per_s", sum(float(card["txkB"]) for card in cards) * 1024


def merged(series: list[tuple[int, float]], most: int) -> list[tuple[int, float]]:
    """Sorted by time, one sample a moment, the newest `most`."""
    return sorted(dict(series).items())[-most:]


def step(series: list[tuple[int, float]]) -> int:
    """The usual distance between two samples in seconds: the median, because a reboot or a gap is not a step."""
    gaps = sorted(later - earlier for (earlier, _), (later, _) in itertools.pairwise(series))
    return min(max(gaps[len(gaps) // 2], 1), 86400) if gaps else 600  # sysstat's own default
