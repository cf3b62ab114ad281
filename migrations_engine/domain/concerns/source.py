"""The machine as it is: whether it is there, was read, and can be copied."""

from collections.abc import Iterable

from migrations_engine.domain.concerns.outlook import Concern, Outlook, Severity


def _scan(o: Outlook) -> Iterable[Concern]:
    if o.facts is None:
        yield Concern(
            "scan.none",
            "Source",
            Severity.WARNING,
            "This machine has not been scanned, so less is known before the run.",
            "Scan it first; otherwise the run does, and stops where it finds something critical.",
        )
        return
    for area in o.facts.coverage:
        if area.state != "full" and area.area in ("os", "kernels", "filesystems"):
            yield Concern(
                f"scan.{area.area}",
                "Source",
                Severity.INFORMATION,
                f"The scan could not read all about {area.area}: {area.reason or area.state}.",
            )
    for concern in o.facts.concerns:
        yield Concern(f"disk.{concern.code}", "Source", Severity(concern.severity.capitalize()), concern.text)


def _source(o: Outlook) -> Iterable[Concern]:
    if o.missing_since:
        yield Concern(
            "source.missing",
            "Source",
            Severity.CRITICAL,
            f"The source does not show this machine since {o.missing_since}.",
            "Run the discovery again, or put the disk back where it was.",
        )
    if not o.disks:
        yield Concern(
            "source.no_disk",
            "Source",
            Severity.CRITICAL,
            "The machine has no disk to copy.",
            "Run the discovery again; of a machine from an inventory file, discover its disk image from a directory.",
        )
    root = o.facts.root_filesystem if o.facts else None
    if root is not None and root.disk:
        yield Concern(
            "source.root_elsewhere",
            "Source",
            Severity.CRITICAL,
            f"The system lies on disk {root.disk + 1} of {len(o.disks)}; only the first one is grown and prepared.",
            "Put the disk with the system first (the lowest number, the first drive), and discover the source again.",
        )


RULES = (_source, _scan)
