"""Secrets at rest: a row holds ciphertext, the key is in the environment or in var/keys, never in the database."""

import base64
import hashlib

from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings

from personas.errors import Refused


def seal(secret: str) -> str:
    return _box().encrypt(secret.encode()).decode()


def unseal(ciphertext: str) -> str:
    """Raises Refused where the key is another one than it was sealed with."""
    try:
        return _box().decrypt(ciphertext.encode()).decode()
    except InvalidToken:
        raise Refused("This secret was kept under another CREDENTIALS_KEY: tell it again.") from None


def _box() -> Fernet:
    key = hashlib.sha256(settings.CREDENTIALS_KEY.encode()).digest()
    return Fernet(base64.urlsafe_b64encode(key))
