"""A merge as a caller asks for it: rows by id, documents written out, or both; nothing is stored.

    {"template": id | document, "personas": [id | document | {"id" | "document", "name"?, "priority"?}], "persona": id,
     "department": id, "overrides": document, "driver_sets": {slug: [driver]}}

Personas are ordered by priority (0 when not given), then by name; the later one wins.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from personas.domain.drivers import dump_drivers, parse_drivers
from personas.domain.settings import InvalidSettings
from personas.errors import BadInput, Missing
from personas.models import Department, Persona
from templates_app.domain.drivers import DriverSets
from templates_app.domain.layers import LONGEST_NAME, Kind, Layer, is_layer_name
from templates_app.domain.merge import Merged, merge
from templates_app.models import MigrationTemplate
from templates_app.services.merging import driver_sets_for, persona_layer, template_layer

MOST_PERSONAS = 20  # more than anyone stacks; bounds the work of one request


def merge_asked(asked: Mapping[str, Any], *, by) -> Merged:
    """Raises BadInput whose fields are places in the request (`personas.0.resources.vcpus`), Missing where an id is
    unknown or not the caller's to see."""
    gathered = _Gathered(by)
    gathered.take_template(asked.get("template"))
    for place, persona in _personas_of(asked):
        gathered.take_persona(place, persona)
    gathered.take_department(asked.get("department"))
    if asked.get("overrides") is not None:
        document = _document("overrides", asked["overrides"])
        gathered.take_layer("overrides", Layer(Kind.LAUNCH, "", None, document))
    driver_sets = {**gathered.driver_sets(), **_driver_sets(asked.get("driver_sets"))}
    return gathered.merged(driver_sets)


@dataclass
class _Gathered:
    """Layers with the place in the request that each came from, and the rows behind them."""

    by: Any
    layers: list[Layer] = field(default_factory=list)
    places: dict[str, str] = field(default_factory=dict)
    template: MigrationTemplate | None = None
    personas: list[Persona] = field(default_factory=list)
    department: Department | None = None

    def take_layer(self, place: str, layer: Layer) -> None:
        self.layers.append(layer)
        self.places.setdefault(layer.label, place)

    def take_template(self, asked: Any) -> None:
        if isinstance(asked, str):
            self.template = _found("template", MigrationTemplate, asked, self.by)
            self.take_layer("template", template_layer(self.template))
        elif asked is not None:
            document, wrapper = _unwrapped("template", asked)
            place = "template.document" if "document" in wrapper else "template"
            self.take_layer(place, Layer(Kind.TEMPLATE, _name("template", wrapper, "inline"), None, document))

    def take_persona(self, place: str, asked: Any) -> None:
        wrapper = {"id": asked} if isinstance(asked, str) else asked
        if isinstance(wrapper, Mapping) and "id" in wrapper:
            _require_known(place, wrapper, {"id", "priority"})
            row = _found(place, Persona, wrapper["id"], self.by)
            self.personas.append(row)
            layer = persona_layer(row)
        else:
            document, wrapper = _unwrapped(place, asked)
            layer = Layer(Kind.PERSONA, _name(place, wrapper, place), None, document)
        layer = replace(layer, priority=_priority(place, wrapper))
        self.take_layer(f"{place}.document" if "document" in wrapper else place, layer)

    def take_department(self, asked: Any) -> None:
        if asked is None:
            return
        self.department = _found("department", Department, asked, self.by)
        self.take_layer(
            "department", Layer(Kind.DEPARTMENT, self.department.slug, None, self.department.defaults)
        )

    def driver_sets(self) -> DriverSets:
        return driver_sets_for(
            template=self.template, personas=self.personas, department=self.department, user=self.by
        )

    def merged(self, driver_sets: DriverSets) -> Merged:
        try:
            return merge(self.layers, driver_sets)
        except InvalidSettings as error:
            raise BadInput(self._by_place(error)) from None

    def _by_place(self, error: InvalidSettings) -> dict[str, list[str]]:
        told: dict[str, list[str]] = {}
        for each in error.errors:
            field_name = ".".join(part for part in (self.places[each["layer"]], each["field"]) if part)
            told.setdefault(field_name, []).append(
                f"{each['layer']}: {each['message']} (got {each['value']!r})"
            )
        return told


def _personas_of(asked: Mapping[str, Any]) -> list[tuple[str, Any]]:
    single, several = asked.get("persona"), asked.get("personas")
    if single is not None and several is not None:
        raise BadInput({"persona": ["Give either `persona` or `personas`."]})
    if single is not None:
        return [("persona", single)]
    several = [] if several is None else several
    if not isinstance(several, list):
        raise BadInput({"personas": ["Give a list."]})
    if len(several) > MOST_PERSONAS:
        raise BadInput({"personas": [f"At most {MOST_PERSONAS}."]})
    return [(f"personas.{index}", persona) for index, persona in enumerate(several)]


def _unwrapped(place: str, asked: Any) -> tuple[dict, Mapping[str, Any]]:
    """The document, and what was said around it: a document comes bare or as {"document", "name"?, "priority"?}."""
    document = _document(place, asked)
    if "document" not in document:
        return document, {}
    _require_known(place, document, {"document", "name", "priority"})
    return _document(f"{place}.document", document["document"]), document


def _document(place: str, asked: Any) -> dict:
    if not isinstance(asked, dict):
        raise BadInput({place: ["Give an id or a document (a mapping)."]})
    return asked


def _name(place: str, wrapper: Mapping[str, Any], default: str) -> str:
    name = wrapper.get("name", default)
    if not isinstance(name, str) or not is_layer_name(name):
        raise BadInput({f"{place}.name": [f"Give a name of 1 to {LONGEST_NAME} printable characters."]})
    return name


def _priority(place: str, wrapper: Mapping[str, Any]) -> int:
    priority = wrapper.get("priority", 0)
    if type(priority) is not int:  # True is an int as well
        raise BadInput({f"{place}.priority": ["Give a whole number."]})
    return priority


def _require_known(place: str, wrapper: Mapping[str, Any], known: set[str]) -> None:
    if unknown := sorted(set(wrapper) - known):
        raise BadInput(
            {f"{place}.{key}": [f"Not known here; known: {', '.join(sorted(known))}."] for key in unknown}
        )


def _found(place: str, model, asked: Any, by):
    try:
        row = model.objects.visible_to(by).filter(pk=uuid.UUID(str(asked))).first()
    except ValueError:
        raise BadInput({place: [f"{asked!r} is no id."]}) from None
    if row is None:
        pointer = "#/" + place.replace(".", "/")
        detail = f"No such {model._meta.verbose_name}."
        raise Missing(detail, errors=[{"pointer": pointer, "detail": detail}])
    return row


def _driver_sets(asked: Any) -> dict[str, list[dict]]:
    asked = {} if asked is None else asked
    if not isinstance(asked, dict):
        raise BadInput({"driver_sets": ["Give a mapping of slug to drivers."]})
    found, wrong = {}, {}
    for slug, drivers in asked.items():
        try:
            found[slug] = dump_drivers(parse_drivers(drivers))
        except InvalidSettings as error:
            for each in error.errors:
                wrong.setdefault(".".join(filter(None, ("driver_sets", slug, each["field"]))), []).append(
                    each["message"]
                )
    if wrong:
        raise BadInput(wrong)
    return found
