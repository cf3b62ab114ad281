"""The templates that an empty instance offers; they build on the starter catalogue of personas' driver sets."""

from typing import Any

from django.db import transaction

from personas.models import Department, DriverSet, Persona
from templates_app.models import MigrationTemplate
from templates_app.models.template import SourceKind, TargetKind
from templates_app.services.templates import template_create

STARTERS: list[dict[str, Any]] = [
    {
        "slug": "debian-server",
        "name": "Debian server to QEMU",
        "description": "For Debian and Ubuntu servers: virtio, sparse disks, the source's boot mode and addresses.",
        "driver_set": "virtio",
        "disk_format": "qcow2",
        "disk_bus": "virtio",
        "machine": "q35",
        "firmware": "keep",
        "script_timeout_s": 900,
        "script_must_pass": True,
        "monitoring_tags": {"managed-by": "migration-personas"},
    },
    {
        "slug": "desktop",
        "name": "Desktop",
        "description": "For workstations: memory that the host can take back; a failing script only warns.",
        "driver_set": "virtio-complete",
        "disk_format": "qcow2",
        "disk_bus": "virtio",
        "machine": "q35",
        "firmware": "keep",
        "script_must_pass": False,
        "monitoring_tags": {"managed-by": "migration-personas", "class": "desktop"},
    },
    {
        "slug": "legacy-bios",
        "name": "Legacy BIOS guest",
        "description": "For old guests without virtio drivers: emulated SATA and Intel network, BIOS locked.",
        "driver_set": "legacy",
        "disk_format": "qcow2",
        "disk_bus": "sata",
        "machine": "q35",
        "firmware": "bios",
        "locks": ["firmware", "machine", "driver_set", "storage.bus"],
        "monitoring_tags": {"managed-by": "migration-personas", "class": "legacy"},
    },
    {
        "slug": "database-server",
        "name": "Database server to QEMU",
        "description": "Carries DatabaseAdmin: raw disks for steady latency, virtio, a script that must pass.",
        "driver_set": "virtio",
        "persona": "database-admin",
        "disk_format": "raw",
        "disk_bus": "virtio",
        "machine": "q35",
        "firmware": "keep",
        "script_timeout_s": 1800,
        "script_must_pass": True,
        "monitoring_tags": {"managed-by": "migration-personas", "class": "database"},
    },
]


@transaction.atomic
def starter_templates_install(*, by, department: Department | None = None) -> int:
    """How many were made; those whose slug is there already stay as they are. The starter catalogue must be installed
    (personas.services.catalogue): its driver sets and personas are found by slug, the department's own first."""
    taken = set(MigrationTemplate.objects.filter(department=department).values_list("slug", flat=True))
    absent = [starter for starter in STARTERS if starter["slug"] not in taken]
    for starter in absent:
        columns = {key: value for key, value in starter.items() if key not in ("driver_set", "persona")}
        template_create(
            by=by,
            department=department,
            source_kind=SourceKind.ANY,
            target_kind=TargetKind.QEMU,
            default_driver_set=_named(DriverSet, starter["driver_set"], department),
            persona=_named(Persona, starter["persona"], department) if "persona" in starter else None,
            **columns,
        )
    return len(absent)


def _named(model, slug: str, department: Department | None):
    own = model.objects.filter(department=department, slug=slug).first()
    return own or model.objects.get(department__isnull=True, slug=slug)
