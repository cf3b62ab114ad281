"""`python3 manage.py scan_image DISK [DISK ...] [--json]`: what disk images say about a machine. Needs no database."""

import json
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from analyzer.domain.facts import Facts
from analyzer.domain.image_format import FORMATS
from analyzer.scanner.scan import (
    Limits,
    SandboxUnavailable,
    UnreadableImage,
    disks_of,
    image_format,
    scan_disks,
)


class Command(BaseCommand):
    help = "Reads the disk images of a machine in a sandbox and prints the facts of that machine."
    requires_system_checks = ()

    def add_arguments(self, parser):
        kinds = ", ".join(FORMATS)
        parser.add_argument(
            "disk", type=Path, nargs="+", help=f"its disk images, the one that boots first: {kinds}"
        )
        parser.add_argument("--json", action="store_true", help="print the facts as one JSON document")
        parser.add_argument(
            "--format", choices=FORMATS, help="the images' format; told by their content if left out"
        )
        parser.add_argument(
            "--timeout", type=int, default=Limits.wall_s, metavar="S", help="give up after S seconds"
        )

    def handle(self, *, disk: list[Path], json: bool, timeout: int, **options):
        named = ", ".join(map(str, disk))
        try:
            inside = [
                each for path in disk for each in disks_of(path, options["format"] or image_format(path))
            ]
            facts = scan_disks(inside, limits=Limits(wall_s=timeout))
        except UnreadableImage as error:
            raise CommandError(f"{named} is unreadable: {error.reason}") from None
        except SandboxUnavailable as error:
            raise CommandError(str(error), returncode=2) from None
        if json:
            self.stdout.write(_document(facts))
        else:
            # a table goes to a terminal or to a file that somebody reads: 110 columns suit both
            console = Console(file=self.stdout, width=None if self.stdout.isatty() else 110)
            console.print(_page(named, facts))


def _document(facts: Facts) -> str:
    return json.dumps(facts.model_dump(mode="json"), indent=2, ensure_ascii=False)


def _page(title: str, facts: Facts) -> Group:
    return Group(
        _summary(title, facts), _filesystems(facts), _kernels(facts), _ports(facts), _coverage(facts)
    )


def _summary(title: str, facts: Facts) -> Table:
    table = Table(title=Text(title), show_header=False, title_justify="left")
    manual = sum(package.manual is True for package in facts.packages)
    enabled = [service.name for service in facts.services if service.enabled]
    people = [user.name for user in facts.users if user.can_login]
    rows = {
        "system": facts.os.pretty_name or facts.os.family,
        "host name": facts.hostname or "not set",
        "architecture": facts.architecture or "unknown",
        "boots": f"{facts.boot_mode}, {facts.partition_table} partition table, init: {facts.init_system}",
        "packages": f"{len(facts.packages)}, of which {manual} were asked for",
        "services": f"{len(enabled)} enabled: {_some(enabled)}",
        "users": _some(people) or "nobody can log in",
        "guest tools": _guest_tools(facts),
        "usage": _some([f"{each.metric} ({len(each.samples)})" for each in facts.usage])
        or "none on the disk",
        "scan": f"{facts.scan.duration_ms} ms, {facts.scan.image_format}, {_gib(facts.scan.virtual_size_bytes)}",
    }
    for name, value in rows.items():
        table.add_row(name, Text(value))
    for concern in facts.concerns:
        table.add_row(Text(concern.severity, style="bold yellow"), Text(concern.text))
    return table


def _guest_tools(facts: Facts) -> str:
    tools = {
        "cloud-init": facts.has_cloud_init,
        "guest agent": facts.has_guest_agent,
        "nft": facts.has_nft,
        "tc": facts.has_tc,
    }
    return ", ".join(name for name, there in tools.items() if there) or "none"


def _filesystems(facts: Facts) -> Table:
    table = _table("device", "kind", "mounted at", "size", "used")
    for each in facts.filesystems:
        used = "" if each.used_bytes is None else _gib(each.used_bytes)
        table.add_row(
            *map(Text, (each.device, each.kind, each.mount_point or "", _gib(each.size_bytes), used))
        )
    return table


def _kernels(facts: Facts) -> Table:
    table = _table("kernel", "default", "menu id", "virtio")
    for each in facts.kernels:
        virtio = sorted(name.removeprefix("virtio_") for name in each.drivers if name.startswith("virtio_"))
        table.add_row(
            *map(Text, (each.version, "yes" if each.default else "", each.menu_id or "", _some(virtio)))
        )
    return table


def _ports(facts: Facts) -> Table:
    table = _table("port", "service", "address", "from")
    for each in facts.listening:
        table.add_row(*map(Text, (f"{each.port}/{each.protocol}", each.service, each.address, each.evidence)))
    return table


def _coverage(facts: Facts) -> Table:
    table = _table("area", "read", "why not all")
    for each in facts.coverage:
        table.add_row(*map(Text, (each.area, each.state, each.reason)))
    return table


def _table(*columns: str) -> Table:
    table = Table()
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _some(names: list[str], most: int = 12) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _gib(size: int) -> str:
    return f"{size / 2**30:.2f} GiB"
