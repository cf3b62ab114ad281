"""What tells our own things from those of others: in a domain's metadata, and in the names of volumes and filters."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from migrations_engine.domain.machine import MachineSpec

NAMESPACE = "urn:migration-personas:machine:1"
PREFIX = "migration-personas"  # of the namespace, in the domain's document
VOLUME = re.compile(r"mp-(?P<key>[A-Za-z0-9][A-Za-z0-9-]{0,63})\.[a-z]+[0-9]*\.[a-z0-9]+(\.[0-9])?")


@dataclass(frozen=True)
class Mark:
    """`key` is the run's id."""

    key: str
    name: str
    personas: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)


def mark_of(spec: MachineSpec) -> Mark:
    return Mark(spec.key, spec.name, spec.personas, dict(spec.tags))


def element(mark: Mark, namespace: str = NAMESPACE) -> Element:
    """<machine xmlns="urn:…" run="…" name="…"><persona>…</persona><tag name="…">…</tag></machine>

    `virsh metadata --set` wants it without a namespace, and adds the one that it is told.
    """
    qualified = (lambda tag: f"{{{namespace}}}{tag}") if namespace else (lambda tag: tag)
    made = Element(qualified("machine"), {"run": mark.key, "name": mark.name})
    for persona in mark.personas:
        ElementTree.SubElement(made, qualified("persona")).text = persona
    for name, value in sorted(mark.tags.items()):
        ElementTree.SubElement(made, qualified("tag"), {"name": name}).text = value
    return made


def parse_mark(document: Element) -> Mark | None:
    """None where it is not ours."""
    if document.tag not in (f"{{{NAMESPACE}}}machine", "machine") or not document.get("run"):
        return None
    children = [(child.tag.rpartition("}")[2], child) for child in document]
    return Mark(
        document.get("run"),
        document.get("name", ""),
        tuple(child.text or "" for kind, child in children if kind == "persona"),
        {child.get("name", ""): child.text or "" for kind, child in children if kind == "tag"},
    )


def volume_name(key: str, what: str, extension: str) -> str:
    """ "mp-<key>.disk0.qcow2": a key has no dots, so a name tells whose it is without doubt."""
    return f"mp-{key}.{what}.{extension}"


def key_of_volume(name: str) -> str | None:
    found = VOLUME.fullmatch(name)
    return found["key"] if found else None


def filter_name(key: str) -> str:
    return f"mp-{key}"

