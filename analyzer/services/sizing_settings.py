"""What a department decides about sizes: percentile, headroom, window, minimum. Empty is the standard."""

from dataclasses import replace
from typing import Any

from django.conf import settings
from django.db import transaction

from analyzer.domain.sizing import CPU, MEMORY, Policy
from analyzer.models.sizing import LEAST_WINDOW_DAYS, SizingSettings
from personas.errors import BadInput
from personas.models import Department, Role
from personas.services.access import require
from personas.services.audit import record

STANDARD = {
    "vcpus": replace(CPU, minimum=1, step=1),
    "memory_mib": replace(MEMORY, minimum=512, step=256),
}
# column of the settings → (column of the machine, field of its policy)
MEANS = {
    "cpu_percentile": ("vcpus", "percentile"),
    "cpu_headroom": ("vcpus", "headroom"),
    "memory_percentile": ("memory_mib", "percentile"),
    "memory_headroom": ("memory_mib", "headroom"),
    "minimum_vcpus": ("vcpus", "minimum"),
    "minimum_memory_mib": ("memory_mib", "minimum"),
}
SETTINGS = (*MEANS, "window_days")


def longest_window_days() -> int:
    """What is older is kept as means of hours, which hide its peaks (usage_retention)."""
    return max(LEAST_WINDOW_DAYS, settings.USAGE_RAW_DAYS)


def require_window(days: float | None) -> None:
    """Raises BadInput."""
    most = longest_window_days()
    if days is not None and days > most:
        raise BadInput({"window_days": [f"At most {most}: what is older is kept by the hour, without its peaks."]})


def policies_of(department: Department | None) -> dict[str, Policy]:
    """Column of the machine → policy; a machine without a department is sized by the standard."""
    row = SizingSettings.objects.filter(department=department).first() if department else None
    return policies_from({name: getattr(row, name) for name in SETTINGS} if row else {})


def policies_from(values: dict[str, Any]) -> dict[str, Policy]:
    found = dict(STANDARD)
    for name, (column, field) in MEANS.items():
        if values.get(name) is not None:
            found[column] = replace(found[column], **{field: values[name]})
    if values.get("window_days") is not None:
        found = {column: replace(each, window_days=values["window_days"]) for column, each in found.items()}
    most = longest_window_days()
    return {column: replace(each, window_days=min(each.window_days, most)) for column, each in found.items()}


def standard_values() -> dict[str, float]:
    """Setting → what it is where nobody has said otherwise."""
    told = {name: getattr(STANDARD[column], field) for name, (column, field) in MEANS.items()}
    return told | {"window_days": min(STANDARD["vcpus"].window_days, longest_window_days())}


@transaction.atomic
def sizing_settings_set(*, department: Department, by, **values: float | None) -> SizingSettings:
    """`values`: SETTINGS; None puts one back to the standard, what is not named stays. Raises ValidationError."""
    require(by=by, department=department, role=Role.ADMIN)
    if unknown := sorted(set(values) - set(SETTINGS)):
        raise BadInput({name: ["is no setting of sizes"] for name in unknown})
    require_window(values.get("window_days"))
    row = SizingSettings.objects.select_for_update().filter(department=department).first()
    row = row or SizingSettings(department=department)
    before = {name: getattr(row, name) for name in SETTINGS}
    for name, value in values.items():
        setattr(row, name, value)
    row.full_clean(validate_unique=False)
    row.save()
    after = {name: getattr(row, name) for name in SETTINGS}
    record(by=by, action="sizing_settings.update", obj=department, before=before, after=after)
    return row
