"""Bundles that come as files: signed by a publisher whom a catalogue vouches for, or by a key that a superuser has let
in."""

from django.db import transaction

from marketplace.domain.bundle import MOST_BYTES, Bundle, UnreadableBundle, digest, unpack
from marketplace.domain.envelope import Signed, Unverified, header_of, opened
from marketplace.models import Catalogue, Listing, Publisher, Release, TrustedKey
from marketplace.models.listing import Category, Visibility
from marketplace.services.catalogues import ENVELOPE_BYTES, release_take
from marketplace.services.keys import ring_of
from marketplace.services.proof import hold_reason
from personas.domain.settings import InvalidSettings
from personas.errors import BadInput, Missing, NotAllowed, Refused
from personas.services.audit import record
from personas.services.rows import checked_save, free_slug

FILES = "Imported files"


def require_superuser(by) -> None:
    if not by.is_superuser:
        raise NotAllowed("Only a superuser lets files into the organisation's catalogue, and says whose.")


@transaction.atomic
def bundle_import(*, content: bytes, by) -> Release:
    """The release in a signed file, now in the organisation's catalogue. Raises Refused with the reason."""
    require_superuser(by)
    if len(content) > MOST_BYTES + ENVELOPE_BYTES:
        raise Refused(f"The file is larger than {MOST_BYTES // 1024} KiB.")
    try:
        publisher, signed = _verified(content)
        bundle = unpack(signed.payload, sha256=digest(signed.payload))
        publisher = publisher or _publisher_of_files(bundle.publisher, key=signed.key, by=by)
        if publisher.name_in_bundles != bundle.publisher:
            raise Unverified(f"It says that it is of {bundle.publisher}, whose key did not sign it.")
        return release_take(listing=_listing(publisher, bundle), signed=signed, by=by)
    except (Unverified, UnreadableBundle, InvalidSettings) as error:
        raise Refused(str(error)) from None


@transaction.atomic
def trusted_key_create(*, public_key: str, name: str, by, publisher: str = "") -> TrustedKey:
    """`publisher`: whom it may speak for, as its bundles say it. Empty: whom its first file is of, if nobody else is
    known by that name."""
    require_superuser(by)
    publisher = publisher.strip().lower()
    key = TrustedKey(public_key=public_key.strip().lower(), name=name, publisher=publisher, added_by=by)
    if len(key.public_key) != 64 or set(key.public_key) - set("0123456789abcdef"):
        raise BadInput({"public_key": ["A public key has 64 hexadecimal digits."]})
    checked_save(key)
    record(by=by, action="trusted_key.create", obj=key, after=_told(key))
    return key


@transaction.atomic
def trusted_key_remove(*, public_key: str, by) -> None:
    """What it has signed is not installed any more; what is installed goes on."""
    require_superuser(by)
    key = TrustedKey.objects.filter(public_key=public_key).first()
    if key is None:
        raise Missing("That key is not trusted here.")
    record(by=by, action="trusted_key.remove", obj=key, before=_told(key))
    key.delete()


def _told(key: TrustedKey) -> dict[str, str]:
    return {"public_key": key.public_key, "name": key.name, "publisher": key.publisher}


def _verified(content: bytes) -> tuple[Publisher | None, Signed]:
    """(the publisher whose chain knows the key, or None where it was let in by itself, the signed file)"""
    key = header_of(content).key
    for publisher in Publisher.objects.filter(key_statements__isnull=False).distinct():
        ring = ring_of(publisher)
        if key in ring.trusted or key in ring.revoked:
            return publisher, opened(content, kind="bundle", trusted=ring.trusted, revoked=ring.revoked)
    keys = frozenset(TrustedKey.objects.values_list("public_key", flat=True))
    return None, opened(content, kind="bundle", trusted=keys)


def _publisher_of_files(name: str, *, key: str, by) -> Publisher:
    """Raises Unverified when the key may not speak for it."""
    catalogue, _ = Catalogue.objects.get_or_create(url="", department=None, defaults={"name": FILES})
    there = Publisher.objects.filter(catalogue=catalogue, remote_slug=name).first()
    _require_spokesman(name, is_known=there is not None, key=key, by=by)
    if there:
        return there
    slug = free_slug(model=Publisher, department=None, name=name)
    publisher = Publisher(catalogue=catalogue, remote_slug=name, name=name, slug=slug)
    publisher.held_reason = hold_reason(publisher, others=Publisher.objects.exclude(catalogue=catalogue))
    checked_save(publisher)
    return publisher


def _require_spokesman(name: str, *, is_known: bool, key: str, by) -> None:
    """A key that was trusted for nobody by name speaks, from its first file on, for whom that is of."""
    row = TrustedKey.objects.select_for_update().get(public_key=key)
    if row.publisher == name:
        return
    if row.publisher:
        raise Unverified(
            f"It says that it is of {name}; its key “{row}” is trusted for {row.publisher} only. If it is {name}'s, "
            f"remove the key and trust it for {name}."
        )
    if is_known or TrustedKey.objects.filter(publisher=name).exists():
        raise Unverified(
            f"Of {name} another key is known. If “{row}” is theirs too, remove the key and trust it for {name}."
        )
    row.publisher = name
    checked_save(row)
    record(by=by, action="trusted_key.pin", obj=row, after=_told(row))


def _listing(publisher: Publisher, bundle: Bundle) -> Listing:
    there = Listing.objects.filter(publisher=publisher, slug=bundle.listing).first()
    if there:
        return there
    about = bundle.about
    listing = Listing(
        publisher=publisher,
        slug=bundle.listing,
        name=about.name if about else bundle.persona.name,
        summary=about.summary if about else "",
        category=about.category if about and about.category in Category.values else Category.OTHER,
        visibility=Visibility.ORGANISATION,
    )
    checked_save(listing)
    return listing
