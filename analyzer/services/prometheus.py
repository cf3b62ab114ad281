"""Usage from Prometheus: asked for what is new since the last time, laid to the machines that its labels mean."""

import json
from datetime import datetime, timedelta
from urllib.parse import urlencode

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from analyzer.domain.printable import printable
from analyzer.domain.prometheus import (
    PERCENT,
    STEP_S,
    BadAnswer,
    Named,
    Samples,
    machines_by_label,
    parse_range,
    queries,
)
from analyzer.domain.usage import is_possible
from analyzer.models import SourceEndpoint, UsageProvider, VirtualMachine
from analyzer.services.usage import usage_store
from personas.errors import Refused
from personas.models import Role
from personas.services.access import require
from personas.services.audit import record
from personas.services.guarded_http import fetch

LOOK_BACK = timedelta(days=30)  # at the first time; a Prometheus keeps 15 days unless told otherwise
CHUNK = timedelta(hours=6)  # of one question: 72 points of a machine
MOST_BYTES = 64 << 20
TIMEOUT_S = 60.0
LEASE = timedelta(minutes=10)
MOST_LEFT_OUT = 100

Usage = dict[str, dict[str, Samples]]  # label's value → metric → samples


@transaction.atomic
def usage_provider_set(
    *, source: SourceEndpoint, by, url: str, exporter: str = "node", label: str = "", part: str = "host"
) -> UsageProvider:
    """What is said here replaces what was, and asks again from the beginning. Raises ValidationError."""
    require(by=by, department=source.department, role=Role.ADMIN)
    provider = UsageProvider(source=source, url=url.strip().rstrip("/"), exporter=exporter, part=part)
    provider.label = label.strip() or ("domain" if exporter == "libvirt" else "instance")
    provider.full_clean(validate_unique=False)
    provider.save()
    after = {name: getattr(provider, name) for name in ("url", "exporter", "label", "part")}
    record(by=by, action="source.usage_provider", obj=source, after=after)
    return provider


@transaction.atomic
def usage_provider_remove(*, source: SourceEndpoint, by) -> None:
    """What it told of the machines stays."""
    require(by=by, department=source.department, role=Role.ADMIN)
    UsageProvider.objects.filter(source=source).delete()
    record(by=by, action="source.usage_provider_remove", obj=source)


def usage_collect_now(*, source: SourceEndpoint, by) -> dict:
    """The report. Raises Refused when it does not answer, or is being asked already."""
    require(by=by, department=source.department, role=Role.OPERATOR)
    provider = UsageProvider.objects.filter(source=source).first()
    if provider is None:
        raise Refused(f"{source} has no Prometheus to ask.")
    if not usage_collect(provider):
        raise Refused("It is being asked already.")
    provider.refresh_from_db()
    if provider.error:
        raise Refused(provider.error)
    record(by=by, action="source.usage_collect", obj=source, after=provider.report)
    return provider.report


def usage_collect_all() -> int:
    """How many were asked; what goes wrong with one stands on its row."""
    free = Q(lease_until__isnull=True) | Q(lease_until__lt=timezone.now())
    return sum(usage_collect(each) for each in UsageProvider.objects.filter(free).select_related("source"))


def usage_collect(provider: UsageProvider) -> bool:
    """False when another worker is asking. A part that was stored stays stored, whatever the next one brings."""
    now = timezone.now()
    mine = UsageProvider.objects.filter(Q(lease_until__isnull=True) | Q(lease_until__lt=now), pk=provider.pk)
    if not mine.update(lease_until=now + LEASE):
        return False
    try:
        report = _collect(provider, now)
    except (Refused, BadAnswer) as error:
        _end(provider, error=printable(f"Prometheus: {error}", 500))
    else:
        _end(provider, error="", report=report, collected_at=now)
    return True


def _end(provider: UsageProvider, **columns) -> None:
    UsageProvider.objects.filter(pk=provider.pk).update(lease_until=None, **columns)


def _collect(provider: UsageProvider, now: datetime) -> dict:
    end = _aligned(now)
    at = _aligned(max(provider.collected_until or end - LOOK_BACK, end - LOOK_BACK))
    report: dict = {"values": 0, "machines": 0, "left_out": []}
    while at < end:
        until = min(at + CHUNK, end)
        report = _store(provider, _ask(provider, at, until), report)
        UsageProvider.objects.filter(pk=provider.pk).update(
            collected_until=until, lease_until=timezone.now() + LEASE
        )
        at = until
    return report


def _aligned(moment: datetime) -> datetime:
    return datetime.fromtimestamp(int(moment.timestamp()) // STEP_S * STEP_S, moment.tzinfo)


def _ask(provider: UsageProvider, start: datetime, end: datetime) -> Usage:
    """Slots from `start` to `end`; a value is told at the end of its slot. What was not asked for is left out."""
    found: Usage = {}
    begin_s, end_s = int(start.timestamp()), int(end.timestamp())
    for metric, query in queries(provider.exporter, provider.label).items():
        asked = {
            "query": query,
            "start": begin_s + STEP_S,
            "end": end_s,
            "step": STEP_S,
        }
        body = fetch(
            f"{provider.url}/api/v1/query_range?{urlencode(asked)}",
            most_bytes=MOST_BYTES,
            timeout_s=TIMEOUT_S,
        )
        for label, samples in parse_range(_json(body), provider.label).items():
            asked_for = [(at, value) for at, value in samples if begin_s <= at < end_s]
            found.setdefault(label, {})[metric] = asked_for
    return found


def _json(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise BadAnswer("it is no JSON") from None


def _store(provider: UsageProvider, usage: Usage, report: dict) -> dict:
    machines = {str(vm.pk): vm for vm in VirtualMachine.objects.filter(source=provider.source_id)}
    found, left_out = machines_by_label(usage, map(_named, machines.values()), provider.part)
    values = 0
    for label, pk in found.items():
        samples = {metric: _possible(metric, told) for metric, told in usage[label].items()}
        usage_store(vm=machines[pk], samples=samples, steps=dict.fromkeys(samples, STEP_S))
        values += sum(map(len, samples.values()))
    return {
        "values": report["values"] + values,
        "machines": max(report["machines"], len(found)),
        "left_out": sorted({*report["left_out"], *(printable(each) for each in left_out)})[:MOST_LEFT_OUT],
    }


def _named(vm: VirtualMachine) -> Named:
    """Of a machine known by SSH the name is its address."""
    return Named(str(vm.pk), (vm.name, vm.hostname))


def _possible(metric: str, samples: Samples) -> Samples:
    """A share of a hundred and a bit is a rounding of rates; anything else that cannot be is left out."""
    if metric in PERCENT:
        samples = [(at, min(100.0, value) if value < 101 else value) for at, value in samples]
    return [(at, value) for at, value in samples if is_possible(metric, value)]
