"""The history of a publisher's keys as a chain of signed statements: begin, rotate, revoke.

Each statement names the digest of the one before and is signed by the key that was current then. So who has seen the
chain once accepts only what continues it: a later chain must begin with the one that is known.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import StringConstraints

from marketplace.domain.envelope import header_of, opened, seal
from personas.domain.canonical import canonical_json
from personas.domain.part import Part
from personas.domain.storable import unstorable

LONGEST = 500  # statements in a chain
Key = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class BrokenLog(ValueError):
    """The chain does not hold, or is not the one that was known."""


class Statement(Part):
    act: Literal["begin", "rotate", "revoke"]
    owner: Annotated[str, StringConstraints(min_length=1, max_length=80)]
    number: int
    previous: Annotated[str, StringConstraints(max_length=64)]
    key: Key
    at: Annotated[str, StringConstraints(max_length=40)]
    reason: Annotated[str, StringConstraints(max_length=200)] = ""


@dataclass(frozen=True)
class KeyRing:
    """`current` signs what is new; `trusted` may have signed what is there; `revoked` {key: reason} may not."""

    owner: str = ""
    current: str = ""
    first: str = ""
    trusted: frozenset[str] = frozenset()
    revoked: dict[str, str] = field(default_factory=dict)
    length: int = 0
    head: str = ""


def stated(
    ring: KeyRing, *, act: str, key: str, at: str, signer: Ed25519PrivateKey, owner: str, reason=""
) -> bytes:
    """The next statement of the chain, signed."""
    statement = Statement(
        act=act, owner=owner, number=ring.length, previous=ring.head, key=key, at=at, reason=reason
    )
    return seal("key", canonical_json(statement.model_dump()).encode(), signer)


def replay(chain: Sequence[bytes], *, owner: str) -> KeyRing:
    """What the chain comes to; each statement is verified before it is parsed. Raises BrokenLog."""
    if not chain or len(chain) > LONGEST:
        raise BrokenLog(f"A chain of keys has between one and {LONGEST} statements.")
    ring = KeyRing(owner=owner)
    for content in chain:
        ring = _next(ring, content)
    return ring


def continued(known: Sequence[bytes], chain: Sequence[bytes]) -> None:
    """Raises BrokenLog unless `chain` begins with what is known: a history is neither cut nor rewritten."""
    if list(chain[: len(known)]) != list(known):
        raise BrokenLog("The chain of keys is not the one that is known here: it was cut or rewritten.")


def _next(ring: KeyRing, content: bytes) -> KeyRing:
    try:
        signers = frozenset({ring.current or header_of(content).key})
        signed = opened(content, kind="key", trusted=signers)
        data = json.loads(signed.payload)
        if where := unstorable(data):
            raise ValueError(f"text that can't be stored: {where}")
        statement = Statement.model_validate(data)
    except (ValueError, RecursionError) as error:
        raise BrokenLog(f"Statement {ring.length} of the chain of keys does not hold: {error}") from None
    _require(statement.owner == ring.owner, ring, "it is about somebody else")
    _require(statement.number == ring.length and statement.previous == ring.head, ring, "it is out of place")
    _require((statement.act == "begin") == (ring.length == 0), ring, "a chain begins once")
    changed = _ACTS[statement.act](ring, statement, signed.key)
    head = hashlib.sha256(content).hexdigest()
    return KeyRing(**{**vars(ring), **changed, "length": ring.length + 1, "head": head})


def _begin(ring: KeyRing, statement: Statement, signer: str) -> dict:
    _require(statement.key == signer, ring, "the first key signs itself")
    return {"current": signer, "first": signer, "trusted": frozenset({signer})}


def _rotate(ring: KeyRing, statement: Statement, signer: str) -> dict:
    _require(statement.key not in ring.trusted | ring.revoked.keys(), ring, "the new key is not new")
    return {"current": statement.key, "trusted": ring.trusted | {statement.key}}


def _revoke(ring: KeyRing, statement: Statement, signer: str) -> dict:
    _require(statement.key in ring.trusted - {ring.current}, ring, "it revokes no key that was rotated away")
    return {
        "trusted": ring.trusted - {statement.key},
        "revoked": {**ring.revoked, statement.key: statement.reason or "no reason given"},
    }


_ACTS = {"begin": _begin, "rotate": _rotate, "revoke": _revoke}


def _require(holds: bool, ring: KeyRing, told: str) -> None:
    if not holds:
        raise BrokenLog(f"Statement {ring.length} of the chain of keys does not hold: {told}.")
