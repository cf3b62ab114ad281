"""Deleting what others may point at."""

from django.db import models

from personas.errors import InUse


def delete_unless_used(row: models.Model) -> None:
    """Deletes the row and what belongs to it; raises InUse with every row that protects it, of whatever app."""
    try:
        row.delete()
    except models.ProtectedError as error:
        used_by = [
            {"type": each._meta.model_name, "id": str(each.pk), "name": str(each)} for each in error.protected_objects
        ]
        raise InUse(f"{row} is in use.", used_by=sorted(used_by, key=lambda user: user["name"])[:100]) from None
