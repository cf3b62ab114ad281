"""What is asked of a Prometheus, and what its answers mean. Metric names are those of Debian's exporters.

A value at a time is the mean over the step before it, so that it belongs to the slot that begins a step earlier.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

STEP_S = 300
MOST_SERIES = 20_000
_CARDS = (
    'device!~"lo|veth.*|docker.*|br-.*|virbr.*|vnet.*|tap.*|ifb.*|cali.*|flannel.*|cni.*"'  # as for sysstat
)
_DISKS = (
    'device=~"[shv]d[a-z]+|xvd[a-z]+|nvme[0-9]+n[0-9]+"'  # whole ones: a partition's bytes are in its disk's
)


def _rate(counter: str, chosen: str = "") -> str:
    return f"sum by (BY) (rate({counter}{{{chosen}}}[5m]))"


# BY: the label that tells the machines apart
NODE = {
    "cpu_percent": "100 * (1 - " + _rate("node_cpu_seconds_total", 'mode=~"idle|iowait"')
    + " / count by (BY) (node_cpu_seconds_total{mode=\"idle\"}))",
    "memory_percent": "100 * (1 - sum by (BY) (node_memory_MemAvailable_bytes)"
    " / sum by (BY) (node_memory_MemTotal_bytes))",
    "net_in_mbps": _rate("node_network_receive_bytes_total", _CARDS) + " * 8 / 1e6",
    "net_out_mbps": _rate("node_network_transmit_bytes_total", _CARDS) + " * 8 / 1e6",
    "disk_read_mibs": _rate("node_disk_read_bytes_total", _DISKS) + " / 1048576",
    "disk_write_mibs": _rate("node_disk_written_bytes_total", _DISKS) + " / 1048576",
}  # fmt: skip
# A hypervisor knows the balloon of a guest, not what is used inside: memory is not asked of it.
LIBVIRT = {
    "cpu_percent": "100 * " + _rate("libvirt_domain_info_cpu_time_seconds_total")
    + " / sum by (BY) (libvirt_domain_info_virtual_cpus)",
    "net_in_mbps": _rate("libvirt_domain_interface_stats_receive_bytes_total") + " * 8 / 1e6",
    "net_out_mbps": _rate("libvirt_domain_interface_stats_transmit_bytes_total") + " * 8 / 1e6",
    "disk_read_mibs": _rate("libvirt_domain_block_stats_read_bytes_total") + " / 1048576",
    "disk_write_mibs": _rate("libvirt_domain_block_stats_write_bytes_total") + " / 1048576",
}  # fmt: skip
QUERIES: dict[str, Mapping[str, str]] = {"node": NODE, "libvirt": LIBVIRT}
PERCENT = ("cpu_percent", "memory_percent")

Samples = list[tuple[int, float]]


def queries(exporter: str, label: str) -> dict[str, str]:
    """Metric → what to ask for it."""
    return {metric: query.replace("(BY)", f"({label})") for metric, query in QUERIES[exporter].items()}


class BadAnswer(ValueError):
    """It is not what Prometheus answers; the message says what came."""


def parse_range(document: object, label: str) -> dict[str, Samples]:
    """Label's value → its samples, of the answer to query_range. What is no finite number is left out. Raises
    BadAnswer."""
    if not isinstance(document, dict) or document.get("status") != "success":
        said = document.get("error") if isinstance(document, dict) else None
        raise BadAnswer(str(said)[:200] if said else "it is no answer of a Prometheus")
    try:
        rows = document["data"]["result"]
        if document["data"]["resultType"] != "matrix" or len(rows) > MOST_SERIES:
            raise BadAnswer(f"it has {len(rows)} series of the kind {document['data']['resultType']}")
        return {str(row["metric"][label]): _samples(row["values"]) for row in rows if label in row["metric"]}
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise BadAnswer(f"its answer has another form: {type(error).__name__}") from None


def _samples(values: list) -> Samples:
    told = ((int(at) - STEP_S, float(value)) for at, value in values)
    return [(at, max(0.0, value)) for at, value in told if math.isfinite(value)]


@dataclass(frozen=True)
class Named:
    """A machine by the names that a label may say."""

    id: str
    names: tuple[str, ...]


def machines_by_label(
    labels: Iterable[str], machines: Iterable[Named], part: str
) -> tuple[dict[str, str], list[str]]:
    """({label's value → machine's id}, [values that mean no machine, or several]). `part` of the value that counts:
    "host" (before the port), "name" (before the first dot as well) or "whole". Case does not matter."""
    known: dict[str, set[str]] = {}
    for machine in machines:
        for name in machine.names:
            if name:
                known.setdefault(_part(name, part), set()).add(machine.id)
    found, left = {}, []
    for label in sorted(set(labels)):
        meant = known.get(_part(label, part), set())
        if len(meant) == 1:
            found[label] = next(iter(meant))
        else:
            left.append(label)
    return found, left


def _part(text: str, part: str) -> str:
    text = text.strip().lower()
    if part == "whole":
        return text
    host = (
        text[1:].partition("]")[0]
        if text.startswith("[")
        else text.rpartition(":")[0]
        if _has_port(text)
        else text
    )
    is_address = ":" in host or host.replace(".", "").isdigit()
    return host if part == "host" or is_address else host.partition(".")[0]


def _has_port(text: str) -> bool:
    return text.count(":") == 1 and text.rpartition(":")[2].isdigit()
