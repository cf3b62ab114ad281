"""What each setting is called on a page and what it means, in groups, for whoever shows a document."""

from typing import Any, NamedTuple


class Label(NamedTuple):
    label: str
    meaning: str


GROUPS: dict[str, dict[str, Label]] = {
    "Kernel and distribution": {
        "kernel.version": Label("Kernel", "the release that the guest boots"),
        "kernel.intent": Label("Kernel intent", "how strictly the kernel is meant"),
        "distribution.name": Label("Distribution", "what the guest is expected to run"),
        "distribution.version": Label("Distribution version", "its version"),
        "distribution.intent": Label("Distribution intent", "how strictly the distribution is meant"),
    },
    "Drivers and software": {
        "driver_set": Label("Driver set", "which devices the machine gets, and what drives them"),
        "kernel_modules": Label("Kernel modules", "loaded in the guest"),
        "packages": Label("Packages", "installed in the guest where it lacks them"),
        "devices.disk": Label("Disk device", "the model of the disk"),
        "devices.nic": Label("Network device", "the model of the network card"),
        "devices.rng": Label("Entropy device", "random numbers from the host"),
        "devices.balloon": Label("Memory balloon", "memory that the host can take back"),
    },
    "Resources": {
        "resources.vcpus": Label("vCPUs", "cores that the guest sees"),
        "resources.memory_mib": Label("Memory (MiB)", "memory of the machine"),
        "resources.root_disk_gib": Label("Root disk (GiB)", "grown to this size, never shrunk"),
        "storage.format": Label("Disk format", "how the disk is kept"),
        "storage.bus": Label("Disk bus", "how it is attached"),
        "machine": Label("Machine type", "the board that is emulated"),
        "firmware": Label("Firmware", "how it boots"),
    },
    "Network": {
        "network.bandwidth_mbps": Label("Bandwidth (Mbit/s)", "at most this much"),
        "network.security_groups": Label("Security groups", "what is let in; the rest is dropped"),
        "network.addressing": Label("Addressing", "whether the addresses stay"),
    },
    "After the migration": {
        "post_migration.scripts": Label("Scripts", "run in the guest, in this order"),
        "post_migration.timeout_s": Label("Time limit (s)", "for each script"),
        "post_migration.must_pass": Label("Must pass", "whether a failing script fails the migration"),
        "acceptance_checks": Label("Acceptance checks", "what must answer before it counts as done"),
        "monitoring_tags": Label("Monitoring tags", "told to the monitoring"),
    },
}


def grouped(document: dict[str, Any]) -> list[tuple[str, list[tuple[Label, Any]]]]:
    """[(group, [(label, value)])] of what the document says, in the order of the table; nothing for what it does
    not say.

    A whole group that is null appears as each of its settings being null.
    """
    told = []
    for group, labels in GROUPS.items():
        rows = [
            (label, value) for path, label in labels.items() if (value := _at(document, path)) is not ABSENT
        ]
        if rows:
            told.append((group, rows))
    return told


ABSENT = object()


def _at(document: Any, path: str) -> Any:
    for key in path.split("."):
        if document is None:
            return None
        if key not in document:
            return ABSENT
        document = document[key]
    return document
