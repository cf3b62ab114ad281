"""Hypothesis strategies for documents of the vocabulary, layers and driver sets."""

from hypothesis import strategies as st

from personas.domain.settings import LEAVES, LIST_LEAVES, MAP_LEAVES, validate_document
from templates_app.domain.layers import Layer

MODULES = st.lists(
    st.sampled_from(["virtio_net", "virtio_blk", "e1000", "ahci", "dm_crypt", "tls"]), max_size=4
)
PACKAGES = st.lists(
    st.sampled_from(["curl", "vim", "postgresql-15", "qemu-guest-agent", "auditd"]), max_size=4
)
TAGS = ["team", "cost-centre", "a.b", "stage"]
TAG_VALUES = st.sampled_from(["", "1", "4711", "büro"])
CHECKS = st.sampled_from(
    [
        {"kind": "tcp", "port": 22},
        {"kind": "http"},
        {"kind": "http", "port": 80, "path": "/", "status": 200},
        {"kind": "http", "port": 8080},
        {"kind": "systemd_unit", "unit": "nginx.service"},
        {"kind": "tcp", "port": 22, "must_pass": False},
        {"kind": "tcp", "port": 22, "must_pass": True},
        {"kind": "mount", "path": "/srv"},
        {"kind": "package", "package": "nginx"},
        {"kind": "command", "command": "pg_isready"},
        {"kind": "boot_time", "at_most_s": 120},
    ]
)

VALUES = {
    "schema_version": st.just(1),
    "kernel.version": st.sampled_from(["6.1.0-44-cloud-amd64", ">=6.1", "5.10"]),
    "kernel.intent": st.sampled_from(["prefer", "require", "install"]),
    "distribution.name": st.sampled_from(["debian", "ubuntu", "rocky"]),
    "distribution.version": st.sampled_from(["11", "12", "22.04"]),
    "distribution.intent": st.sampled_from(["prefer", "require", "install"]),
    "driver_set": st.sampled_from(["virtio", "legacy", "mixed"]),
    "kernel_modules": MODULES,
    "packages": PACKAGES,
    "devices.disk": st.sampled_from(["virtio-blk-pci", "virtio-scsi-pci", "ide-hd"]),
    "devices.nic": st.sampled_from(["virtio-net-pci", "e1000e", "e1000"]),
    "devices.rng": st.just("virtio-rng-pci"),
    "devices.balloon": st.just("virtio-balloon-pci"),
    "resources.vcpus": st.integers(1, 512),
    "resources.memory_mib": st.integers(64, 65536),
    "resources.root_disk_gib": st.integers(1, 500),
    "storage.format": st.sampled_from(["qcow2", "raw"]),
    "storage.bus": st.sampled_from(["virtio", "sata", "scsi"]),
    "machine": st.sampled_from(["q35", "pc"]),
    "firmware": st.sampled_from(["keep", "bios", "uefi"]),
    "network.bandwidth_mbps": st.integers(1, 10_000),
    "network.security_groups": st.lists(st.sampled_from(["ssh", "web", "db-internal"]), max_size=3),
    "network.addressing": st.sampled_from(["keep", "dhcp"]),
    "post_migration.scripts": st.lists(
        st.fixed_dictionaries(
            {"name": st.sampled_from(["baseline", "tune-postgres"])},
            optional={
                "phase": st.sampled_from(["first_boot", "after_checks"]),
                "parameters": st.just({"PORT": 5432}),
                "secrets": st.just({"PASSWORD": "db-password"}),
            },
        ),
        max_size=2,
    ),
    "post_migration.timeout_s": st.integers(1, 3600),
    "post_migration.must_pass": st.booleans(),
    "monitoring_tags": st.dictionaries(st.sampled_from(TAGS), TAG_VALUES, max_size=3),
    "acceptance_checks": st.lists(CHECKS, max_size=3),
}
OR_NULL = {
    "monitoring_tags": st.dictionaries(st.sampled_from(TAGS), TAG_VALUES | st.none(), max_size=3) | st.none()
}
PATHS = sorted(VALUES)
SCALARS = sorted(set(LEAVES) - LIST_LEAVES - MAP_LEAVES)

DRIVER = st.fixed_dictionaries(
    {"name": st.sampled_from(["net", "block", "rng"]), "kernel_modules": MODULES, "packages": PACKAGES},
    optional={"devices": st.fixed_dictionaries({"disk": VALUES["devices.disk"]})},
)
DRIVER_SETS = st.fixed_dictionaries(
    dict.fromkeys(["virtio", "legacy", "mixed"], st.lists(DRIVER, max_size=3, unique_by=lambda d: d["name"]))
)


def placed(said: dict) -> dict:
    """{"resources.vcpus": 2} → {"resources": {"vcpus": 2}}"""
    document: dict = {}
    for path, value in said.items():
        *parents, leaf = path.split(".")
        inner = document
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[leaf] = value
    return document


@st.composite
def documents(draw, nulls=True):
    paths = draw(st.lists(st.sampled_from(PATHS), unique=True, max_size=12))
    values = {path: OR_NULL.get(path, VALUES[path] | st.none()) if nulls else VALUES[path] for path in paths}
    return validate_document(placed({path: draw(value) for path, value in values.items()}))


@st.composite
def persona_documents(draw):
    document = draw(documents())
    modes = {path: st.sampled_from(["append", "replace"]) for path in sorted(LIST_LEAVES)}
    modes["driver_set"] = st.sampled_from(["overwrite", "extend"])
    if chosen := draw(st.fixed_dictionaries({}, optional=modes)):
        document["list_modes"] = chosen
    return document


@st.composite
def template_documents(draw):
    document = draw(documents())
    groups = ["resources", "network", "devices", "monitoring_tags"]
    if locks := draw(st.lists(st.sampled_from(PATHS + groups), max_size=3, unique=True)):
        document["locks"] = locks
    return document


@st.composite
def stacks(draw, locked=True):
    """A template, perhaps department defaults, up to three personas, perhaps a launch; in any order."""
    layers = [Layer("template", "T", 1, draw(template_documents() if locked else documents()))]
    for kind in draw(st.lists(st.sampled_from(["department", "launch"]), unique=True)):
        layers.append(Layer(kind, "", None, draw(documents())))
    for name in draw(st.lists(st.sampled_from("ABC"), unique=True)):
        layers.append(Layer("persona", name, 1, draw(persona_documents()), draw(st.integers(0, 2))))
    return draw(st.permutations(layers))
