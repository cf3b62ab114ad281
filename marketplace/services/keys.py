"""A publisher's keys: made, rotated, revoked, each as a signed statement; and the signatures of releases.

A private key lies in the database as a Fernet token; what opens it is derived from SIGNING_SECRET, which does not.
"""

import base64
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from marketplace.domain.envelope import Signed, is_signed, public_key, sealed, signature_of
from marketplace.domain.key_log import KeyRing, replay, stated
from marketplace.models import KeyStatement, Publisher, Release, SigningKey, TrustedKey
from personas.errors import BadInput, NotAllowed, Refused
from personas.models import Role
from personas.services.access import require
from personas.services.audit import record
from personas.services.rows import locked

FEED = "@feed"  # no slug: nobody can take the name


def owner_name(publisher: Publisher | None) -> str:
    return publisher.name_in_bundles if publisher else FEED


def chain_of(publisher: Publisher | None) -> list[bytes]:
    rows = KeyStatement.objects.filter(publisher=publisher).order_by("number")
    return [bytes(sealed) for sealed in rows.values_list("sealed", flat=True)]


def ring_of(publisher: Publisher | None) -> KeyRing:
    """Of a publisher without keys: an empty one, which trusts nothing."""
    chain = chain_of(publisher)
    return replay(chain, owner=owner_name(publisher)) if chain else KeyRing(owner=owner_name(publisher))


def require_ours(publisher: Publisher) -> None:
    if publisher.catalogue_id:
        raise Refused(f"{publisher} publishes on another instance; here it is only shown.")


@transaction.atomic
def key_ensure(*, publisher: Publisher | None, by) -> KeyRing:
    """The ring with a current key; the first one is made when there is none. Whoever may publish may have it made."""
    ring = ring_of(publisher)
    if ring.current:
        return ring
    private = Ed25519PrivateKey.generate()
    _state(publisher, ring, act="begin", key=public_key(private), signer=private)
    _keep(publisher, private, by, "key.create")
    return ring_of(publisher)


@transaction.atomic
def key_rotate(*, publisher: Publisher | None, by) -> KeyRing:
    """A new current key, signed for by the one before, whose signatures go on to be trusted."""
    ring = _ring_to_change(publisher, by)
    private = Ed25519PrivateKey.generate()
    _state(publisher, ring, act="rotate", key=public_key(private), signer=_private(ring.current))
    _keep(publisher, private, by, "key.rotate")
    return ring_of(publisher)


@transaction.atomic
def key_revoke(*, publisher: Publisher | None, key: str, by, reason: str) -> KeyRing:
    """Nothing that the key has signed is trusted any more; the releases that are here are signed anew. The current key
    is rotated first."""
    if not reason.strip():
        raise BadInput({"reason": ["Say why: whoever follows you reads it."]})
    ring = _ring_to_change(publisher, by)
    if key not in ring.trusted:
        raise Refused("There is no such key, or it is revoked already.")
    if key == ring.current:
        ring = key_rotate(publisher=publisher, by=by)
    reason = reason.strip()[:200]
    _state(publisher, ring, act="revoke", key=key, signer=_private(ring.current), reason=reason)
    row = SigningKey.objects.get(public_key=key)
    record(by=by, action="key.revoke", obj=row, after={"public_key": key, "reason": reason})
    ring = ring_of(publisher)
    for release in Release.objects.filter(listing__publisher=publisher) if publisher else ():
        release_sign(release=release, ring=ring)
    return ring


def release_sign(*, release: Release, ring: KeyRing) -> None:
    """Signs the stored bytes with the current key; said twice: once."""
    if not release.signatures.filter(public_key=ring.current).exists():
        signature = signature_of("bundle", bytes(release.bundle), _private(ring.current))
        release.signatures.create(public_key=ring.current, signature=signature)


def signed_by(release: Release) -> Signed | None:
    """The release's newest signature by a key that is trusted and has signed exactly its bytes."""
    trusted, content = trusted_of(release.listing.publisher), bytes(release.bundle)
    for row in release.signatures.all():
        signed = Signed("bundle", row.public_key, row.signature, content)
        if row.public_key in trusted and is_signed(signed):
            return signed
    return None


def trusted_of(publisher: Publisher) -> frozenset[str]:
    """The keys whose signatures of its releases hold: of what came as a file, those that a superuser has let in
    for it."""
    if publisher.catalogue and publisher.catalogue.is_files:
        keys = TrustedKey.objects.filter(publisher=publisher.remote_slug)
        return frozenset(keys.values_list("public_key", flat=True))
    return ring_of(publisher).trusted


def release_file(release: Release) -> bytes:
    """The release as one signed file. Raises Refused when no trusted key has signed it."""
    signed = signed_by(release)
    if signed is None:
        raise Refused(f"{release} is not signed by a key that is trusted.")
    return sealed(signed)


def seal_with_feed_key(payload: bytes) -> bytes:
    ring = key_ensure(publisher=None, by=None)
    signature = signature_of("feed", payload, _private(ring.current))
    return sealed(Signed("feed", ring.current, signature, payload))


def chain_lines(chain: Sequence[bytes]) -> str:
    """As it goes over the wire: base64, one statement a line."""
    return "".join(f"{base64.b64encode(each).decode()}\n" for each in chain)


def chain_from(lines: str) -> list[bytes]:
    """Raises ValueError."""
    return [base64.b64decode(line, validate=True) for line in lines.split()]


def _ring_to_change(publisher: Publisher | None, by) -> KeyRing:
    if publisher is None:
        if not by.is_superuser:
            raise NotAllowed("The feed's key is a superuser's to change.")
    else:
        locked(publisher)
        require(by=by, department=publisher.department, role=Role.ADMIN)
        require_ours(publisher)
    return key_ensure(publisher=publisher, by=by)


def _state(
    publisher, ring: KeyRing, *, act: str, key: str, signer: Ed25519PrivateKey, reason: str = ""
) -> None:
    at = timezone.now().isoformat(timespec="seconds")
    content = stated(ring, act=act, key=key, at=at, signer=signer, owner=ring.owner, reason=reason)
    try:
        with transaction.atomic():
            KeyStatement.objects.create(publisher=publisher, number=ring.length, sealed=content)
    except IntegrityError:
        raise Refused("Somebody changed the keys at the same moment; look again.") from None


def _keep(publisher: Publisher | None, private: Ed25519PrivateKey, by, action: str) -> None:
    raw = private.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
    row = SigningKey.objects.create(
        publisher=publisher,
        public_key=public_key(private),
        private_key=_cipher().encrypt(raw).decode(),
        created_by=by,
    )
    record(by=by, action=action, obj=row, after={"public_key": row.public_key})


def _private(key: str) -> Ed25519PrivateKey:
    row = SigningKey.objects.get(public_key=key)
    try:
        return Ed25519PrivateKey.from_private_bytes(_cipher().decrypt(row.private_key.encode()))
    except InvalidToken:
        raise Refused(
            "The key can't be opened: SIGNING_SECRET is not the one that it was made with."
        ) from None


def _cipher() -> Fernet:
    derived = HKDF(SHA256(), 32, salt=None, info=b"migration-personas signing keys").derive(
        settings.SIGNING_SECRET.encode()
    )
    return Fernet(base64.urlsafe_b64encode(derived))
