"""API tokens on the wire: `Authorization: Bearer mp_<prefix>_<secret>`."""

from rest_framework.authentication import BaseAuthentication


class TokenAuthentication(BaseAuthentication):
    def authenticate(self, request):
        return None
