"""A signature that stands inside a JSON document: Ed25519 over the canonical JSON of all the rest. Pure.

Anyone can check it with the public key and nothing else: take `signature` out, write the rest as JSON with sorted keys,
without spaces, in UTF-8, and verify.
"""

import base64
import hashlib
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from personas.domain.canonical import canonical_json

ALGORITHM = "Ed25519"


class BadSeal(ValueError):
    """The document is not what was signed, or was not signed with this key; the message says which."""


def key_from(secret: str, purpose: str) -> Ed25519PrivateKey:
    """The same secret gives the same key; each purpose has its own."""
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(f"{purpose}:{secret}".encode()).digest())


def public_pem(key: Ed25519PrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def key_id(key: Ed25519PublicKey) -> str:
    """Sixteen hex digits that tell keys apart."""
    return hashlib.sha256(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()[:16]


def sealed(document: dict[str, Any], key: Ed25519PrivateKey) -> dict[str, Any]:
    value = base64.b64encode(key.sign(canonical_json(document).encode())).decode()
    return document | {
        "signature": {"algorithm": ALGORITHM, "key_id": key_id(key.public_key()), "value": value}
    }


def verify(document: Any, pem: str) -> None:
    """Raises BadSeal."""
    signature = document.get("signature") if isinstance(document, dict) else None
    if not isinstance(signature, dict) or signature.get("algorithm") != ALGORITHM:
        raise BadSeal(f"It carries no {ALGORITHM} signature.")
    key = _public_key(pem)
    if signature.get("key_id") != key_id(key):
        raise BadSeal(f"It was signed with the key {signature.get('key_id')}, and this is {key_id(key)}.")
    rest = {name: value for name, value in document.items() if name != "signature"}
    try:
        key.verify(
            base64.b64decode(str(signature.get("value")), validate=True), canonical_json(rest).encode()
        )
    except (InvalidSignature, ValueError) as error:
        raise BadSeal("It is not the document that was signed.") from error


def _public_key(pem: str) -> Ed25519PublicKey:
    try:
        key = load_pem_public_key(pem.encode())
    except ValueError as error:
        raise BadSeal("The key is no public key in PEM.") from error
    if not isinstance(key, Ed25519PublicKey):
        raise BadSeal(f"The key is no {ALGORITHM} key.")
    return key
