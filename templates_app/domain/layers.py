"""The layers of a merge: who speaks, in which order, and what a layer says about one setting."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from personas.domain.canonical import canonical_json
from personas.domain.checks import complete
from personas.domain.settings import SYSTEM_DEFAULTS, InvalidSettings, validate_document


class Kind(StrEnum):
    """Low to high: a later kind wins over an earlier one."""

    SYSTEM = "system"
    TEMPLATE = "template"
    DEPARTMENT = "department"
    PERSONA = "persona"
    LAUNCH = "launch"


ABSENT: Any = object()
"""A layer does not speak of a setting; `None` is different: it un-says what lower layers said."""

LONGEST_NAME = 80  # as in the database


def is_layer_name(name: str) -> bool:
    """Printable: it is repeated in origins and errors, which must be readable and encodable everywhere."""
    return 0 < len(name) <= LONGEST_NAME and name.isprintable()


@dataclass(frozen=True)
class Layer:
    """`document` is one of the vocabulary; `revision` is None where nothing keeps revisions. Among layers of one kind
    the higher `priority` wins, then the later name."""

    kind: str
    name: str = ""
    revision: int | None = None
    document: dict[str, Any] = field(default_factory=dict)
    priority: int = 0

    @property
    def label(self) -> str:
        """`persona:DatabaseAdmin@3`, `system`."""
        named = f"{self.kind}:{self.name}" if self.name else str(self.kind)
        return named if self.revision is None else f"{named}@{self.revision}"

    @property
    def is_default(self) -> bool:
        return self.kind == Kind.SYSTEM

    def says(self, path: str) -> Any:
        """ABSENT, None (un-said, itself or its whole group), or the value."""
        value: Any = self.document
        for part in path.split("."):
            if part not in value:
                return ABSENT
            value = value[part]
            if value is None:
                return None
        return value

    def mode(self, path: str) -> str:
        return (self.document.get("list_modes") or {}).get(path, "")

    def locks(self, path: str) -> bool:
        """A lock on a group locks every setting in it."""
        return any(path == lock or path.startswith(f"{lock}.") for lock in self.document.get("locks") or ())


def in_order(layers: Iterable[Layer]) -> list[Layer]:
    """The layers low to high with checked documents, the system's defaults beneath them.

    Raises InvalidSettings that names layer, field and value of everything that is wrong in any of them.
    """
    given = list(layers)
    if not any(layer.is_default for layer in given):
        given.append(Layer(Kind.SYSTEM, document=SYSTEM_DEFAULTS))
    checked, wrong = [], []
    for layer in given:
        try:
            checked.append(_checked(layer))
        except InvalidSettings as error:
            wrong.extend({"layer": layer.label, **told} for told in error.errors)
    if wrong:
        raise InvalidSettings(wrong)
    return sorted(checked, key=_rank)


def _rank(layer: Layer) -> tuple:
    # the document comes last, so that even two layers of the same name have one order
    kinds = list(Kind)
    return (
        kinds.index(Kind(layer.kind)), layer.priority, layer.name, layer.revision or 0, canonical_json(layer.document)
    )  # fmt: skip


def _checked(layer: Layer) -> Layer:
    Kind(layer.kind)  # an unknown kind is the caller's mistake: ValueError
    document = validate_document(layer.document, layer=layer.label)
    for only, field_name in ((Kind.TEMPLATE, "locks"), (Kind.PERSONA, "list_modes")):
        if layer.kind != only and document.get(field_name) is not None:
            told = {
                "field": field_name,
                "message": f"only a {only} may say this",
                "value": document[field_name],
            }
            raise InvalidSettings([told], layer=layer.label)
    if checks := document.get("acceptance_checks"):
        document["acceptance_checks"] = [complete(check) for check in checks]
    return Layer(layer.kind, layer.name, layer.revision, document, layer.priority)
