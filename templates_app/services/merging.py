"""From rows to layers: the merge of a template with the personas of a launch, as preview, run and API all see it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from personas.errors import Missing
from personas.models import Department, DriverSet, Persona
from templates_app.domain.drivers import DriverSets
from templates_app.domain.layers import Kind, Layer
from templates_app.domain.merge import Merged, merge
from templates_app.models import MigrationTemplate


def merge_for(
    *,
    template: MigrationTemplate,
    personas: Sequence[Persona] = (),
    department: Department | None = None,
    overrides: Mapping[str, Any] | None = None,
    user,
) -> Merged:
    """See `layers_for`. Raises InvalidSettings naming layer, field and value of what is wrong."""
    layers = layers_for(
        template=template, personas=personas, department=department, overrides=overrides, user=user
    )
    return merge(
        layers, driver_sets_for(template=template, personas=personas, department=department, user=user)
    )


def layers_for(
    *,
    template: MigrationTemplate,
    personas: Sequence[Persona] = (),
    department: Department | None = None,
    overrides: Mapping[str, Any] | None = None,
    user,
) -> list[Layer]:
    """One layer for each that speaks. `personas` low to high: the last one wins; none given means the template's own.

    `department` is the one that the machine belongs to, `overrides` what is asked for at the launch. Raises Missing
    where `user` may not see the template or a persona.
    """
    _require_visible(template, user)
    for persona in personas:
        _require_visible(persona, user)
    chosen = personas_of(template, personas, user)
    layers = [template_layer(template), *(persona_layer(each, at) for at, each in enumerate(chosen))]
    if department is not None and department.defaults:
        layers.append(Layer(Kind.DEPARTMENT, department.slug, None, department.defaults))
    if overrides:
        layers.append(Layer(Kind.LAUNCH, "", None, dict(overrides)))
    return layers


def personas_of(template: MigrationTemplate, personas: Sequence[Persona], user) -> list[Persona]:
    """What was chosen; else the template's own persona, where `user` sees it."""
    if personas or template.persona_id is None:
        return list(personas)
    return list(Persona.objects.visible_to(user).filter(pk=template.persona_id))


def template_layer(template: MigrationTemplate) -> Layer:
    return Layer(Kind.TEMPLATE, template.name, template.revision, template.document())


def persona_layer(persona: Persona, priority: int = 0) -> Layer:
    return Layer(Kind.PERSONA, persona.name, persona.revision, persona.document(), priority)


def driver_sets_for(
    *,
    template: MigrationTemplate | None = None,
    personas: Iterable[Persona] = (),
    department: Department | None = None,
    user,
) -> DriverSets:
    """Slug → drivers, of the rows of `driver_set_rows`."""
    rows = driver_set_rows(template=template, personas=personas, department=department, user=user)
    return {slug: row.drivers for slug, row in rows.items()}


def driver_set_rows(
    *,
    template: MigrationTemplate | None = None,
    personas: Iterable[Persona] = (),
    department: Department | None = None,
    user,
) -> dict[str, DriverSet]:
    """By slug: the organisation's sets, over them the department's own of the same slug, over them the very rows that
    template and personas point to."""
    owner = department or (template.department if template else None)
    rows = DriverSet.objects.visible_to(user)
    found = {row.slug: row for row in rows.filter(department__isnull=True)}
    if owner is not None:
        found |= {row.slug: row for row in rows.filter(department=owner)}
    pointing = [row for row in (template, *personas) if row is not None and row.default_driver_set_id]
    return found | {row.default_driver_set.slug: row.default_driver_set for row in pointing}


def _require_visible(row, user) -> None:
    if not type(row).objects.visible_to(user).filter(pk=row.pk).exists():
        raise Missing(f"No such {row._meta.verbose_name}.")
