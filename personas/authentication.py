"""API tokens on the wire: `Authorization: Bearer mp_<prefix>_<secret>`."""

import hashlib
import hmac

from django.utils import timezone
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed

from personas.models import ApiToken

REFUSED = "The token is unknown, expired or revoked."


class TokenAuthentication(BaseAuthentication):
    """`request.auth` is the ApiToken; sessions leave it None."""

    def authenticate(self, request):
        scheme, _, token = get_authorization_header(request).decode("latin-1").partition(" ")
        if scheme.lower() != "bearer":
            return None
        row = self._find(token.strip())
        now = timezone.now()
        if (
            row.last_used_at is None or (now - row.last_used_at).total_seconds() > 60
        ):  # not a write per request
            ApiToken.objects.filter(pk=row.pk).update(last_used_at=now)
        return row.user, row

    def authenticate_header(self, request):
        return 'Bearer realm="api"'

    @staticmethod
    def _find(token: str) -> ApiToken:
        kind, _, rest = token.partition("_")
        prefix, _, secret = rest.partition("_")
        row = ApiToken.objects.usable(timezone.now()).select_related("user").filter(prefix=prefix).first()
        digest = hashlib.sha256(secret.encode()).hexdigest()
        if kind != "mp" or row is None or not hmac.compare_digest(row.secret_sha256, digest):
            raise AuthenticationFailed(REFUSED)
        return row
