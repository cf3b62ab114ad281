"""Finding what a caller names by id."""

import uuid
from typing import Any, TypeVar

from django.db import models

from personas.errors import BadInput, Missing

Row = TypeVar("Row", bound=models.Model)


def find(model: type[Row], id: Any, *, by, field: str) -> Row:
    """The row, among those that `by` may see. Raises BadInput (no UUID at all) and Missing (unknown, or not theirs)."""
    try:
        key = id if isinstance(id, uuid.UUID) else uuid.UUID(str(id))
    except ValueError:
        raise BadInput({field: [f"{str(id)[:60]!r} is no id."]}) from None
    row = model.objects.visible_to(by).filter(pk=key).first()
    if row is None:
        told = {"pointer": f"#/{field}", "detail": "No such object, or not yours to see."}
        raise Missing(f"No such {model._meta.verbose_name}, or not yours to see.", errors=[told])
    return row
