"""Usage that a running machine tells: sysstat's days, or where it keeps none the difference of its counters."""

import base64
import binascii
import json
import re
import zlib

from analyzer.domain import sysstat
from analyzer.domain.ssh_report import Report

MOST_SAMPLES = 20_000
LARGEST_DAY = 64 << 20  # a day at one sample a minute takes 5 MB
LARGEST_HISTORY = 256 << 20
SAMPLE_S = 300  # the slot that a single look stands for
_SECTOR_BYTES = 512
_WHOLE_DISK = re.compile(r"(?:[shv]d[a-z]{1,2}|xvd[a-z]{1,2}|nvme\d+n\d+)")


def usage(report: Report, now_s: int | None) -> list[dict]:
    """In the shape of facts.UsageSeries; empty when nothing could be read."""
    series: dict[str, list[tuple[int, float]]] = {}
    room = LARGEST_HISTORY
    for lines in report.parts.get("sadf", []):
        day, size = _day("".join(lines), min(room, LARGEST_DAY))
        room -= size
        for metric, samples in day.items():
            series.setdefault(metric, []).extend(samples)
    found = {metric: sysstat.merged(samples, MOST_SAMPLES) for metric, samples in series.items()}
    if found:
        return [
            _series(name, samples, sysstat.step(samples), "sysstat")
            for name, samples in sorted(found.items())
        ]
    looked = _difference(report) if now_s else {}
    return [_series(name, [(now_s, value)], SAMPLE_S, "counters") for name, value in sorted(looked.items())]


def _series(metric: str, samples: list, step_s: int, source: str) -> dict:
    return {"metric": metric, "step_s": step_s, "source": source, "samples": samples}


def _day(text: str, room: int) -> tuple[dict, int]:
    """(metric → samples of a day, bytes that it took): nothing for what is no day of sysstat."""
    try:
        data = text.encode() if text.lstrip().startswith("{") else _inflated(base64.b64decode(text), room)
        return sysstat.parse_sadf(json.loads(data)), len(data)
    except (binascii.Error, zlib.error, KeyError, TypeError, ValueError, RecursionError):
        return {}, 0


def _inflated(data: bytes, room: int) -> bytes:
    reader = zlib.decompressobj(wbits=31)
    found = reader.decompress(data, max(room, 1))
    if reader.unconsumed_tail:
        raise ValueError("a day of usage that does not end")
    return found


def _difference(report: Report) -> dict[str, float]:
    """Metric → its mean between the two looks at the counters."""
    looks = [_look(lines) for lines in report.parts.get("counters", [])]
    if len(looks) != 2 or looks[1]["at"] <= looks[0]["at"]:
        return {}
    first, last = looks
    seconds = last["at"] - first["at"]
    found = {}
    if (total := sum(last["cpu"]) - sum(first["cpu"])) > 0 and len(last["cpu"]) > 4:
        idle = sum(last["cpu"][3:5]) - sum(first["cpu"][3:5])
        found["cpu_percent"] = 100 * (1 - idle / total)
    if last["MemTotal"]:
        found["memory_percent"] = 100 * (1 - last["MemAvailable"] / last["MemTotal"])
    for metric, name in RATES.items():
        found[metric] = (last[name] - first[name]) / seconds
    return {metric: round(value, 3) for metric, value in found.items() if value >= 0}


RATES = {
    "network_receive_bytes_per_s": "received",
    "network_transmit_bytes_per_s": "sent",
    "disk_read_bytes_per_s": "read",
    "disk_write_bytes_per_s": "written",
}


def _look(lines: list[str]) -> dict:
    """Uptime, jiffies of all CPUs, KiB of memory, bytes of cards and disks since the start."""
    look = {"at": 0.0, "cpu": [], "MemTotal": 0, "MemAvailable": 0, **dict.fromkeys(RATES.values(), 0)}
    for line in lines:
        words = line.replace(":", " ").split()
        numbers = [int(word) for word in words if word.isascii() and word.isdigit() and len(word) <= 18]
        if len(words) == 1 and re.fullmatch(r"\d{1,12}\.\d+", line):
            look["at"] = float(line)
        elif words and words[0] == "cpu":
            look["cpu"] = numbers[:8]  # guest time is in user time already (proc(5))
        elif words and words[0] in ("MemTotal", "MemAvailable") and numbers:
            look[words[0]] = numbers[0]
        elif (
            words and words[0] == "net" and len(numbers) > 8 and not words[1].startswith(sysstat.INNER_CARDS)
        ):
            look["received"], look["sent"] = look["received"] + numbers[0], look["sent"] + numbers[8]
        elif len(words) > 3 and words[0] == "disk" and len(numbers) > 8 and _WHOLE_DISK.fullmatch(words[3]):
            look["read"] += (
                numbers[4] * _SECTOR_BYTES
            )  # numbers begin with major and minor (proc_diskstats(5))
            look["written"] += numbers[8] * _SECTOR_BYTES
    return look
