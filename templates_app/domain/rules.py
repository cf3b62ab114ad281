"""The rule table of the merge: for every setting, what happens when two layers speak of it."""

from enum import StrEnum


class Rule(StrEnum):
    OVERWRITE = "overwrite"  # the higher layer's value stands
    APPEND = "append"  # a list: lower layers first, each item once, order stable
    PER_KEY = "per key"  # a map: each key is overwritten by itself


RULES: dict[str, Rule] = {
    "schema_version": Rule.OVERWRITE,
    "kernel.version": Rule.OVERWRITE,
    "kernel.intent": Rule.OVERWRITE,
    "distribution.name": Rule.OVERWRITE,
    "distribution.version": Rule.OVERWRITE,
    "distribution.intent": Rule.OVERWRITE,
    "driver_set": Rule.OVERWRITE,  # a pointer; `list_modes: {driver_set: extend}` unites what it points to
    "kernel_modules": Rule.APPEND,
    "packages": Rule.APPEND,
    "devices.disk": Rule.OVERWRITE,
    "devices.nic": Rule.OVERWRITE,
    "devices.rng": Rule.OVERWRITE,
    "devices.balloon": Rule.OVERWRITE,
    "resources.vcpus": Rule.OVERWRITE,
    "resources.memory_mib": Rule.OVERWRITE,
    "resources.root_disk_gib": Rule.OVERWRITE,
    "storage.format": Rule.OVERWRITE,
    "storage.bus": Rule.OVERWRITE,
    "machine": Rule.OVERWRITE,
    "firmware": Rule.OVERWRITE,
    "network.bandwidth_mbps": Rule.OVERWRITE,
    "network.security_groups": Rule.APPEND,
    "network.addressing": Rule.OVERWRITE,
    "post_migration.scripts": Rule.APPEND,  # an item is all that it says: one script may run twice
    "post_migration.timeout_s": Rule.OVERWRITE,
    "post_migration.must_pass": Rule.OVERWRITE,
    "monitoring_tags": Rule.PER_KEY,
    "acceptance_checks": Rule.APPEND,  # an item is all of its fields, defaults filled in
}

DRIVER_LEAVES = frozenset(
    path for path in RULES if path in ("kernel_modules", "packages") or path.startswith("devices.")
)
"""Where the contents of a driver set land."""
