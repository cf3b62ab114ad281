"""The one typed vocabulary of a migration: what a template, a persona, an override and a run can say.

A *document* is a mapping in these words (YAML or JSON, the same by page, API, command line, import and export). What is
absent is not said; an explicit `null` un-says what a lower layer said (RFC 7396). Quantities carry their unit in their
name: MiB and GiB are powers of two, `bandwidth_mbps` is 10^6 bit/s, `timeout_s` seconds.
"""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field, StringConstraints, ValidationError

from personas.domain.checks import KINDS, AcceptanceCheck
from personas.domain.part import Part
from personas.domain.scripts import ScriptRef

SCHEMA_VERSION = 1

Intent = Literal["prefer", "require", "install"]
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
PackageName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9+._:-]{0,127}$")]
ModuleName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
VersionSpec = Annotated[
    str, StringConstraints(pattern=r"^(?:(?:>=|<=|>|<|==|~)\s*)?[0-9][A-Za-z0-9.+:~_-]{0,99}$")
]
Word = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9 ._-]{0,63}$")]
TagKey = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._/@-]{0,62}$")]
TagValue = Annotated[str, StringConstraints(max_length=255)]


class Kernel(Part):
    version: VersionSpec | None = Field(None, description="A release as `uname -r` prints it, or `>=6.1`.")
    intent: Intent | None = Field(
        None, description="prefer: differs is information; require: critical; install: the run installs it."
    )


class Distribution(Part):
    name: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9._-]{0,31}$")] | None = Field(
        None, description="The ID of os-release(5), as in `debian`."
    )
    version: Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z][0-9A-Za-z._-]{0,31}$")] | None = Field(
        None, description="The VERSION_ID of os-release(5), as in `12`."
    )
    intent: Intent | None = None


class Resources(Part):
    vcpus: Annotated[int, Field(ge=1, le=512)] | None = None
    memory_mib: Annotated[int, Field(ge=64, le=16 * 2**20)] | None = None
    root_disk_gib: Annotated[int, Field(ge=1, le=64 * 1024)] | None = None


class Storage(Part):
    format: Literal["qcow2", "raw"] | None = None
    bus: Literal["virtio", "sata", "scsi"] | None = None


class Network(Part):
    bandwidth_mbps: Annotated[int, Field(ge=1, le=400_000)] | None = None
    security_groups: list[Slug] | None = None
    addressing: Literal["keep", "dhcp"] | None = None


class PostMigration(Part):
    scripts: list[ScriptRef] | None = None
    timeout_s: Annotated[int, Field(ge=1, le=24 * 3600)] | None = None
    must_pass: bool | None = None


class Devices(Part):
    """Device models of the target machine, as QEMU names them."""

    disk: Literal["virtio-blk-pci", "virtio-scsi-pci", "ide-hd"] | None = None
    nic: Literal["virtio-net-pci", "e1000e", "e1000"] | None = None
    rng: Literal["virtio-rng-pci"] | None = None
    balloon: Literal["virtio-balloon-pci"] | None = None


class MigrationSettings(Part):
    """Everything a layer can say, and (when merged) everything a run needs. Every leaf may be absent or null."""

    schema_version: Literal[1] | None = None
    kernel: Kernel | None = None
    distribution: Distribution | None = None
    driver_set: Slug | None = Field(
        None,
        description="Slug of a DriverSet; what it resolves to lands in kernel_modules, packages, devices.",
    )
    kernel_modules: list[ModuleName] | None = None
    packages: list[PackageName] | None = None
    devices: Devices | None = None
    resources: Resources | None = None
    storage: Storage | None = None
    machine: Literal["q35", "pc"] | None = None
    firmware: Literal["keep", "bios", "uefi"] | None = None
    network: Network | None = None
    post_migration: PostMigration | None = None
    monitoring_tags: dict[TagKey, TagValue | None] | None = None
    acceptance_checks: list[AcceptanceCheck] | None = None


def known_path(path: str) -> str:
    if path not in LEAVES and not any(leaf.startswith(f"{path}.") for leaf in LEAVES):
        raise ValueError(f"{path!r} is no setting; one is written as in resources.vcpus")
    return path


class LayerDocument(MigrationSettings):
    """A template's or a persona's document: the settings, and how its layer takes part in the merge."""

    list_modes: dict[str, Literal["append", "replace", "overwrite", "extend"]] | None = Field(
        None,
        description="Personas only: per list `replace` instead of `append`; `driver_set: extend` unites the drivers.",
    )
    locks: list[Annotated[str, AfterValidator(known_path)]] | None = Field(
        None, description="Templates only: settings that no higher layer may change."
    )


class InvalidSettings(ValueError):
    """A document that is not in the vocabulary. `errors`: one `{"layer", "field", "message", "value"}` for each
    leaf that is wrong; `field` is a dotted path (`resources.vcpus`, `acceptance_checks.0.port`)."""

    def __init__(self, errors: list[dict[str, Any]], *, layer: str = ""):
        self.errors, self.layer = [{"layer": layer, **error} for error in errors], layer
        super().__init__("; ".join(self.lines()))

    def lines(self) -> list[str]:
        """One sentence for each error: `persona:WebDev@2: resources.vcpus: … (got 'many')`."""
        told = ([e["layer"], e["field"], f"{e['message']} (got {e['value']!r})"] for e in self.errors)
        return [": ".join(part for part in parts if part) for parts in told]


def validate_document(document: Any, *, layer: str = "") -> dict[str, Any]:
    """The document as plain data, checked. Only what was said is in it; explicit nulls stay.

    Raises InvalidSettings naming layer, field and value of everything that is wrong, not only of the first.
    """
    if not isinstance(document, dict):
        raise InvalidSettings([{"field": "", "message": "must be a mapping", "value": document}], layer=layer)
    try:
        parsed = LayerDocument.model_validate(document)
    except ValidationError as error:
        raise InvalidSettings([told(e) for e in error.errors()], layer=layer) from None
    _check_list_modes(parsed.list_modes or {}, layer)
    return parsed.model_dump(mode="json", exclude_unset=True)


FORM_IN_WORDS = {  # what people get wrong most, told by example; elsewhere the pattern has to do
    ("kernel", "version"): "it as uname -r does (6.1.0-44-cloud-amd64), or as a condition (>=6.1)",
    ("distribution", "name"): "the ID of os-release, as in debian",
    ("distribution", "version"): "the VERSION_ID of os-release, as in 12",
    ("packages",): "one package name, as in postgresql-15",
    ("kernel_modules",): "one module name, as in virtio_net",
    ("monitoring_tags",): "a key of letters, digits, dots, dashes or slashes, as in cost-centre",
    ("driver_set",): "a slug of lower-case letters, digits and hyphens, as in virtio",
}


def told(error: dict) -> dict[str, Any]:
    """One error of pydantic as a row of `InvalidSettings.errors`."""
    known = [str(part) for part in error["loc"] if part not in KINDS]
    message = error["msg"]
    if error["type"] == "extra_forbidden":
        message = "is no setting of the vocabulary"
    elif error["type"] == "string_pattern_mismatch":
        form = FORM_IN_WORDS.get(tuple(known[:2])) or FORM_IN_WORDS.get(tuple(known[:1]))
        message = f"“{error['input']}” has the wrong form; " + (
            f"write {form}" if form else f"it must match {error['ctx']['pattern']}"
        )
    return {
        "field": ".".join(known),
        "message": re.sub(r"^Value error, ", "", message),
        "value": error.get("input"),
    }


def _check_list_modes(modes: dict[str, str], layer: str) -> None:
    wrong = [
        {"field": f"list_modes.{path}", "message": f"{path!r} has no mode {mode!r}", "value": mode}
        for path, mode in modes.items()
        if mode
        not in (
            ("overwrite", "extend")
            if path == "driver_set"
            else ("append", "replace")
            if path in LIST_LEAVES
            else ()
        )
    ]
    if wrong:
        raise InvalidSettings(wrong, layer=layer)


def _leaves(model: type[BaseModel], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        inner = [
            a
            for a in getattr(field.annotation, "__args__", ())
            if isinstance(a, type) and issubclass(a, Part)
        ]
        if inner:
            found.update(_leaves(inner[0], f"{prefix}{name}."))
        else:
            found[f"{prefix}{name}"] = field.annotation
    return found


LEAVES: dict[str, Any] = _leaves(MigrationSettings)
"""Dotted path of every leaf → its annotation. A list and a map are one leaf each here; the merge goes into maps by
key."""

LIST_LEAVES = frozenset(
    path for path, kind in LEAVES.items() if str(kind).startswith(("list", "typing.Optional[list"))
)
MAP_LEAVES = frozenset(
    path for path, kind in LEAVES.items() if str(kind).startswith(("dict", "typing.Optional[dict"))
)

SYSTEM_DEFAULTS: dict[str, Any] = {
    "schema_version": SCHEMA_VERSION,
    "storage": {"format": "qcow2", "bus": "virtio"},
    "machine": "q35",
    "firmware": "keep",
    "network": {"addressing": "keep"},
    "post_migration": {"timeout_s": 600, "must_pass": True},
}
"""The lowest layer: what a machine needs when nobody says anything."""


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a layer's document; feeds API, docs and editors."""
    return LayerDocument.model_json_schema()
