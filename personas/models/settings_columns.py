"""The vocabulary as columns, shared by persona and template. Empty means: not said.

`COLUMNS` ties every leaf of the vocabulary to the column that stores it; a test compares it with `LEAVES`.
"""

import re

from django.core.exceptions import ValidationError
from django.db import models

from personas.domain.settings import LEAVES, SCHEMA_VERSION, InvalidSettings, known_path, validate_document

INTENTS = [("prefer", "Prefer"), ("require", "Require"), ("install", "Install")]

COLUMNS: dict[str, str] = {
    "kernel.version": "default_kernel_version",
    "kernel.intent": "default_kernel_intent",
    "distribution.name": "default_distribution_name",
    "distribution.version": "default_distribution_version",
    "distribution.intent": "default_distribution_intent",
    "driver_set": "default_driver_set.slug",
    "kernel_modules": "kernel_modules",
    "packages": "packages",
    "resources.vcpus": "resource_allocation_profile.vcpus",
    "resources.memory_mib": "resource_allocation_profile.memory_mib",
    "resources.root_disk_gib": "resource_allocation_profile.root_disk_gib",
    "storage.format": "disk_format",
    "storage.bus": "disk_bus",
    "machine": "machine",
    "firmware": "firmware",
    "network.bandwidth_mbps": "network_profile.bandwidth_mbps",
    "network.security_groups": "network_profile.security_groups",
    "network.addressing": "network_profile.addressing",
    "post_migration.scripts": "post_migration_script.slug",
    "post_migration.timeout_s": "script_timeout_s",
    "post_migration.must_pass": "script_must_pass",
    "monitoring_tags": "monitoring_tags",
    "acceptance_checks": "acceptance_checks",
}

COMPUTED = frozenset({"schema_version", "devices.disk", "devices.nic", "devices.rng", "devices.balloon"})
"""Leaves without a column: the version is constant, devices come from the driver set."""


PARTS = ("default_driver_set", "resource_allocation_profile", "network_profile", "post_migration_script")
"""The columns that point to reusable rows."""


def column_of(path: str) -> str:
    """The column that holds the setting at `path` (or a part of it, as in `packages.3`); `path`'s first word for
    what has its own column under that name (list_modes, locks)."""
    if path.startswith("post_migration.scripts."):
        return "script_entries"
    for leaf, column in COLUMNS.items():
        if path == leaf or path.startswith(f"{leaf}."):
            return column.partition(".")[0]
    return path.partition(".")[0]


def errors_by_column(error: InvalidSettings) -> dict[str, list[str]]:
    """The errors of a document beside the columns of the row; what lies deeper than the leaf goes into the message."""
    told: dict[str, list[str]] = {}
    for e in error.errors:
        leaf = next((leaf for leaf in LEAVES if e["field"].startswith(f"{leaf}.")), None)
        within = _words(e["field"].removeprefix(f"{leaf}.")) if leaf else ""
        told.setdefault(column_of(e["field"]), []).append(f"{within}{e['message']}")
    return told


ITEM = re.compile(r"[0-9]{1,6}")  # a place in a list; a tag's key may be any text


def _words(path: str) -> str:
    """`0.port` → `item 1, port: `."""
    return ", ".join(f"item {int(part) + 1}" if ITEM.fullmatch(part) else part for part in path.split(".")) + ": "


class SettingsColumns(models.Model):
    default_kernel_version = models.CharField("default kernel version", max_length=120, blank=True)
    default_kernel_intent = models.CharField("kernel intent", max_length=8, blank=True, choices=INTENTS)
    default_distribution_name = models.CharField("default distribution", max_length=32, blank=True)
    default_distribution_version = models.CharField("default distribution version", max_length=32, blank=True)
    default_distribution_intent = models.CharField(
        "distribution intent", max_length=8, blank=True, choices=INTENTS
    )
    default_driver_set = models.ForeignKey(
        "personas.DriverSet", models.PROTECT, null=True, blank=True, related_name="%(class)s_users"
    )
    resource_allocation_profile = models.ForeignKey(
        "personas.ResourceProfile", models.PROTECT, null=True, blank=True, related_name="%(class)s_users"
    )
    network_profile = models.ForeignKey(
        "personas.NetworkProfile", models.PROTECT, null=True, blank=True, related_name="%(class)s_users"
    )
    post_migration_script = models.ForeignKey(
        "personas.Script", models.PROTECT, null=True, blank=True, related_name="%(class)s_users"
    )
    script_entries = models.JSONField(
        "further scripts",
        default=list,
        blank=True,
        help_text="Entries of post_migration.scripts, after the script above.",
    )
    script_timeout_s = models.PositiveIntegerField("script time limit (s)", null=True, blank=True)
    script_must_pass = models.BooleanField("script must pass", null=True, blank=True)
    kernel_modules = models.JSONField(default=list, blank=True)
    packages = models.JSONField(default=list, blank=True)
    disk_format = models.CharField(max_length=8, blank=True, choices=[("qcow2", "qcow2"), ("raw", "raw")])
    disk_bus = models.CharField(
        max_length=8, blank=True, choices=[("virtio", "virtio"), ("sata", "SATA"), ("scsi", "SCSI")]
    )
    machine = models.CharField(max_length=8, blank=True, choices=[("q35", "q35"), ("pc", "pc (i440FX)")])
    firmware = models.CharField(
        max_length=8, blank=True, choices=[("keep", "Keep the source's"), ("bios", "BIOS"), ("uefi", "UEFI")]
    )
    monitoring_tags = models.JSONField(default=dict, blank=True)
    acceptance_checks = models.JSONField(default=list, blank=True)
    unset = models.JSONField(
        default=list,
        blank=True,
        help_text="Settings that this layer un-says (an explicit null in its document).",
    )

    class Meta:
        abstract = True

    def clean(self):
        """The row as a document must be in the vocabulary; an error is told beside the column that holds the value. The
        parts must be of the same department or the organisation's."""
        super().clean()
        errors = {**self._foreign_parts(), **self._unknown_unset(), **self._wrong_scripts()}
        if not errors:
            try:
                validate_document(self.document())
            except InvalidSettings as error:
                errors = errors_by_column(error)
        if errors:
            raise ValidationError(errors)

    def _foreign_parts(self) -> dict[str, str]:
        parts = {field: getattr(self, field) for field in PARTS}
        return {
            field: "Choose one of the same department or of the organisation."
            for field, part in parts.items()
            if part is not None and part.department_id not in (None, self.department_id)
        }

    def _unknown_unset(self) -> dict[str, list[str]]:
        if not isinstance(self.unset, list):
            return {"unset": ["Give a list of settings."]}
        wrong = []
        for path in self.unset:
            try:
                known_path(str(path))
            except ValueError as error:
                wrong.append(str(error))
        return {"unset": wrong} if wrong else {}

    def _wrong_scripts(self) -> dict[str, list[str]]:
        """The entries by themselves, so that an error names their own place; each must be a script of the department or
        of the organisation."""
        try:
            validate_document({"post_migration": {"scripts": self.script_entries}})
        except InvalidSettings as error:
            return errors_by_column(error)
        names = {entry["name"] for entry in self.script_entries}
        own = models.Q(department__isnull=True) | models.Q(department=self.department_id)
        scripts = type(self)._meta.get_field("post_migration_script").related_model._base_manager
        unknown = sorted(names - set(scripts.filter(own, slug__in=names).values_list("slug", flat=True)))
        return (
            {"script_entries": [f"There is no script {name!r} here." for name in unknown]} if unknown else {}
        )

    def settings_document(self) -> dict:
        """This layer as a document of the vocabulary: what is said, and null where it is un-said."""
        document: dict = {"schema_version": SCHEMA_VERSION}
        for path, column in COLUMNS.items():
            value = _stored(self, path, column)
            if value not in (None, "", [], {}):
                _put(document, path, value)
        for path in self.unset:
            _put(document, path, None)
        return document


def _stored(row, path, column):
    if path == "post_migration.scripts":
        return script_list(row.post_migration_script, row.script_entries)
    first, _, rest = column.partition(".")
    value = getattr(row, first)
    if rest and value is not None:
        value = getattr(value, rest)
    if path == "network.security_groups" and value:
        return [group["name"] for group in value]
    return value


def script_list(script, entries: list[dict]) -> list[dict]:
    """The entries of a document: the one script without a word more, then those that say more."""
    return ([{"name": script.slug}] if script else []) + list(entries)


def _put(document, path, value):
    *parents, leaf = path.split(".")
    for parent in parents:
        document = document.setdefault(parent, {})
    document[leaf] = value
