"""A signed file: a short header, and the bytes that it signs. Whoever reads one checks the signature before anything
of the payload is parsed.

    migration-personas/signed@1
    kind bundle
    key <64 hex digits: the raw Ed25519 public key>
    signature <128 hex digits>
    <empty line>
    <payload>

Signed is the kind together with the payload, so that a signature of one kind of document is none of another.
"""

import re
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

MAGIC = b"migration-personas/signed@1\n"
HEADER = re.compile(
    re.escape(MAGIC) + rb"kind ([a-z]{1,16})\nkey ([0-9a-f]{64})\nsignature ([0-9a-f]{128})\n\n"
)
LONGEST_HEADER = 512


class Unverified(ValueError):
    """The file is not signed, not by whom it should be, or has been changed since."""


class Signed(NamedTuple):
    kind: str
    key: str
    signature: str
    payload: bytes


def public_key(private: Ed25519PrivateKey) -> str:
    return private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()


def signature_of(kind: str, payload: bytes, private: Ed25519PrivateKey) -> str:
    return private.sign(_signed_bytes(kind, payload)).hex()


def sealed(signed: Signed) -> bytes:
    header = f"kind {signed.kind}\nkey {signed.key}\nsignature {signed.signature}\n\n"
    return MAGIC + header.encode() + signed.payload


def seal(kind: str, payload: bytes, private: Ed25519PrivateKey) -> bytes:
    return sealed(Signed(kind, public_key(private), signature_of(kind, payload, private), payload))


def header_of(content: bytes) -> Signed:
    """What the file says of itself; nothing of it is proven yet. Raises Unverified."""
    found = HEADER.match(content[:LONGEST_HEADER])
    if not found:
        what = "an archive" if content[:2] in (b"PK", b"\x1f\x8b") else "something else"
        raise Unverified(f"This is no signed file of Migration Personas but {what}.")
    kind, key, signature = (part.decode() for part in found.groups())
    return Signed(kind, key, signature, content[found.end() :])


def is_signed(signed: Signed) -> bool:
    """Whether the key has signed these very bytes."""
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(signed.key)).verify(
            bytes.fromhex(signed.signature), _signed_bytes(signed.kind, signed.payload)
        )
    except (InvalidSignature, ValueError):
        return False
    return True


def opened(
    content: bytes, *, kind: str, trusted: frozenset[str], revoked: dict[str, str] | None = None
) -> Signed:
    """The signed file when a trusted key has signed exactly these bytes as this kind. Raises Unverified with the
    reason."""
    signed = header_of(content)
    if signed.kind != kind:
        raise Unverified(f"A {kind} is expected here; this is a {signed.kind}.")
    if reason := (revoked or {}).get(signed.key):
        raise Unverified(f"It is signed with the key {signed.key[:16]}…, which was revoked: {reason}")
    if signed.key not in trusted:
        raise Unverified(f"It is signed with the key {signed.key[:16]}…, which is not trusted here.")
    if not is_signed(signed):
        raise Unverified("The signature does not fit: the file has been changed since it was signed.")
    return signed


def _signed_bytes(kind: str, payload: bytes) -> bytes:
    return MAGIC + kind.encode() + b"\0" + payload
