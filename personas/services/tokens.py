"""API tokens. The secret is told once, at creation; the row keeps its SHA-256."""

import hashlib
import secrets
import string
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from personas.errors import BadInput
from personas.models import ApiToken
from personas.models.token import Scope
from personas.services.audit import record
from personas.services.rows import checked_save, locked, snapshot

PREFIX_LETTERS = string.ascii_lowercase + string.digits  # no underscore: it parts prefix and secret


@transaction.atomic
def token_create(
    *, by, name: str, scopes: list[str], expires_at: datetime | None = None
) -> tuple[ApiToken, str]:
    """(row, `mp_<prefix>_<secret>`): the only time that the secret is seen."""
    if not scopes or any(scope not in Scope.values for scope in scopes):
        raise BadInput({"scopes": [f"Choose at least one of {', '.join(Scope.values)}."]})
    if expires_at and expires_at <= timezone.now():
        raise BadInput({"expires_at": ["Choose a moment in the future."]})
    prefix = "".join(secrets.choice(PREFIX_LETTERS) for _ in range(10))
    secret = secrets.token_urlsafe(32)
    token = ApiToken(
        user=by,
        name=name,
        prefix=prefix,
        secret_sha256=hashlib.sha256(secret.encode()).hexdigest(),
        scopes=sorted(set(scopes)),
        expires_at=expires_at,
    )
    checked_save(token)
    record(by=by, action="token.create", obj=token, after=snapshot(token))
    return token, f"mp_{prefix}_{secret}"


@transaction.atomic
def token_revoke(*, token: ApiToken, by) -> ApiToken:
    """Refused at once from now on; the row stays, so that the audit trail keeps its sense."""
    fresh = locked(token)
    if fresh.revoked_at is None:
        fresh.revoked_at = timezone.now()
        fresh.save(update_fields=["revoked_at"])
        record(by=by, action="token.revoke", obj=fresh, after={"revoked_at": fresh.revoked_at.isoformat()})
    return fresh
