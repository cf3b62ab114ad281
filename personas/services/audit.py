"""The audit trail. Call it inside the transaction of the write that it tells of."""

from typing import Any

import structlog
from django.db import models

from personas.models import AuditEntry, Department


def record(
    *,
    by,
    action: str,
    obj: models.Model,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> AuditEntry:
    """`action` is `<entity>.<verb>` as in `persona.update`; before and after are JSON; never put a secret into them."""
    department = obj if isinstance(obj, Department) else getattr(obj, "department", None)
    return AuditEntry.objects.create(
        actor=by,
        actor_name=by.get_username() if by else "system",
        department=department,
        action=action,
        object_type=obj._meta.model_name,
        object_id=str(obj.pk),
        object_name=str(obj)[:200],
        before=before,
        after=after,
        request_id=structlog.contextvars.get_contextvars().get("request_id", ""),
    )
