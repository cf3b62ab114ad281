"""Signed files and chains of keys: what is not exactly what a trusted key has signed is refused before it is parsed."""

import html
from importlib import import_module

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.apps import apps
from django.core.files.uploadedfile import SimpleUploadedFile

from marketplace.domain.bundle import bundle_of, pack
from marketplace.domain.envelope import Unverified, header_of, opened, public_key, seal
from marketplace.domain.key_log import BrokenLog, KeyRing, continued, replay, stated
from marketplace.models import Release, SigningKey, TrustedKey
from marketplace.services.importing import bundle_import, trusted_key_create, trusted_key_remove
from marketplace.services.installing import installation_create
from marketplace.services.keys import chain_of, key_revoke, key_rotate, release_file, ring_of, signed_by
from personas.errors import NotAllowed, Refused
from personas.models import AuditEntry
from tests.factories import make_department, make_user
from tests.marketplace.test_sharing import APPROVED
from tests.personas.test_api import client_of

A, B, C = (Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in (1, 2, 3))
KEY_A, KEY_B, KEY_C = map(public_key, (A, B, C))


def test_a_signed_file_opens_for_who_trusts_its_key():
    assert (
        opened(seal("bundle", b'{"a":1}', A), kind="bundle", trusted=frozenset({KEY_A})).payload == b'{"a":1}'
    )


@pytest.mark.parametrize("at", [0, 40, 60, 130, 220, -1])
def test_every_changed_byte_is_noticed(at):
    content = bytearray(seal("bundle", b'{"a":1}', A))
    content[at] ^= 1
    with pytest.raises(Unverified):
        opened(bytes(content), kind="bundle", trusted=frozenset({KEY_A}))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"PK\x03\x04" + b"\0" * 400, "an archive"),
        (b"\x1f\x8b\x08" + b"\0" * 400, "an archive"),
        (b"{" * 100_000, "something else"),
        (b"", "something else"),
        (seal("feed", b"{}", A), "is expected here"),
        (seal("bundle", b"{}", B), "not trusted"),
        (seal("bundle", b"{}", C), "revoked: stolen"),
    ],
)
def test_what_is_refused_is_refused_with_its_reason(content, told):
    with pytest.raises(Unverified, match=told):
        opened(content, kind="bundle", trusted=frozenset({KEY_A}), revoked={KEY_C: "stolen"})


# --- the chain of keys -----------------------------------------------------------------------------------------------


def say(chain, act, key, signer, **changes):
    ring = replay(chain, owner="dba") if chain else KeyRing(owner="dba")
    said = {"act": act, "key": key, "at": "2026-01-01T00:00:00Z", "signer": signer, "owner": "dba", **changes}
    return [*chain, stated(ring, **said)]


BEGUN = say([], "begin", KEY_A, A)
ROTATED = say(BEGUN, "rotate", KEY_B, A)


def test_a_chain_tells_who_is_trusted():
    ring = replay(say(ROTATED, "revoke", KEY_A, B, reason="stolen"), owner="dba")
    assert (ring.current, ring.trusted, ring.revoked) == (KEY_B, {KEY_B}, {KEY_A: "stolen"})
    assert replay(ROTATED, owner="dba").trusted == {KEY_A, KEY_B}


@pytest.mark.parametrize(
    ("chain", "told"),
    [
        ([], "between one and"),
        (ROTATED[1:], "does not hold"),
        (BEGUN * 2, "does not hold"),
        (say(BEGUN, "rotate", KEY_B, C), "not trusted"),
        (say([], "begin", KEY_B, A), "signs itself"),
        (say(BEGUN, "revoke", KEY_A, A), "revokes no key"),
        (say(ROTATED, "rotate", KEY_A, B), "not new"),
        (say(BEGUN, "rotate", KEY_B, A, owner="other"), "somebody else"),
        (say([], "begin", KEY_A, A, owner="other"), "somebody else"),
        ([seal("key", b"[" * 5000, A)], "does not hold"),
        ([seal("key", b"{}", A)], "does not hold"),
        ([seal("key", b"1" * 5000, A)], "does not hold"),
        (say(ROTATED, "revoke", KEY_A, B, reason="sto\0len"), "can't be stored: #/reason"),
    ],
)
def test_a_chain_that_does_not_hold(chain, told):
    with pytest.raises(BrokenLog, match=told):
        replay(chain, owner="dba")


def test_a_history_is_neither_cut_nor_rewritten():
    continued(BEGUN, ROTATED)
    for other in (BEGUN, [], say([], "begin", KEY_C, C)):
        with pytest.raises(BrokenLog):
            continued(ROTATED, other)


# --- a publisher's keys ----------------------------------------------------------------------------------------------


def test_a_release_is_signed_when_it_is_published(release):
    ring = ring_of(release.listing.publisher)
    told = opened(release_file(release), kind="bundle", trusted=ring.trusted)
    assert told.payload == bytes(release.bundle)


def test_the_private_key_is_not_in_the_database(release, settings):
    row = SigningKey.objects.get()
    assert row.public_key not in row.private_key
    settings.SIGNING_SECRET = "another"
    with pytest.raises(Refused, match="SIGNING_SECRET"):
        key_rotate(publisher=release.listing.publisher, by=row.created_by)


def test_after_a_rotation_the_old_signature_holds_and_the_new_key_signs(release, alice):
    publisher = release.listing.publisher
    old = ring_of(publisher).current
    ring = key_rotate(publisher=publisher, by=alice)
    assert ring.current != old and signed_by(release).key == old


def test_after_a_revocation_files_of_the_old_key_are_refused_and_releases_signed_anew(release, alice):
    publisher, before = release.listing.publisher, release_file(release)
    old = header_of(before).key
    ring = key_revoke(publisher=publisher, key=old, by=alice, reason="The laptop was stolen")
    assert ring.current != old
    with pytest.raises(Unverified, match="laptop"):
        opened(before, kind="bundle", trusted=ring.trusted, revoked=ring.revoked)
    assert signed_by(Release.objects.get(pk=release.pk)).key == ring.current
    assert len(chain_of(publisher)) == 3
    assert AuditEntry.objects.get(action="key.revoke").after["public_key"] == old
    with pytest.raises(Refused, match="revoked already"):
        key_revoke(publisher=publisher, key=old, by=alice, reason="again")


def test_only_the_publishers_admin_and_for_the_feed_a_superuser(release, bob, alice):
    with pytest.raises(NotAllowed):
        key_rotate(publisher=release.listing.publisher, by=bob)
    with pytest.raises(NotAllowed, match="superuser"):
        key_rotate(publisher=None, by=alice)


def test_a_release_whose_signature_no_longer_holds_is_not_installed(release, bob, buyer):
    release.signatures.update(signature="0" * 128)
    with pytest.raises(Refused, match="no key that is trusted"):
        installation_create(release=release, department=buyer, by=bob, approved_script_sha256=APPROVED)


def test_who_published_a_script_leaves_its_approval_to_somebody_else(release, alice, seller, bob, buyer):
    ours = installation_create(release=release, department=seller, by=alice, approved_script_sha256=APPROVED)
    theirs = installation_create(release=release, department=buyer, by=bob, approved_script_sha256=APPROVED)
    assert not ours.persona.post_migration_script.is_approved(APPROVED)
    assert theirs.persona.post_migration_script.is_approved(APPROVED)


# --- files -----------------------------------------------------------------------------------------------------------


def test_a_file_of_a_key_that_was_let_in_is_imported_and_installed(bob, buyer):
    root = make_user("root", superuser=True)
    told = {"publisher": "sister", "listing": "tuned", "version": "1.0.0", "licence": "MIT"}
    persona = {"slug": "tuned", "name": "Tuned", "settings": {"schema_version": 1, "packages": ["nano"]}}
    content = seal("bundle", pack(bundle_of({**told, "persona": persona})), A)
    with pytest.raises(NotAllowed):
        bundle_import(content=content, by=bob)
    with pytest.raises(Refused, match="not trusted"):
        bundle_import(content=content, by=root)
    trusted_key_create(public_key=KEY_A, name="Sister company, by telephone", by=root)
    release = bundle_import(content=content, by=root)
    assert bundle_import(content=content, by=root) == release
    assert installation_create(release=release, department=buyer, by=bob).persona.packages == ["nano"]
    other = seal("bundle", pack(bundle_of({**told, "persona": {**persona, "name": "Other"}})), A)
    with pytest.raises(Refused, match="other bytes"):
        bundle_import(content=other, by=root)
    trusted_key_remove(public_key=KEY_A, by=root)
    release = Release.objects.get(pk=release.pk)
    with pytest.raises(Refused, match="no key that is trusted"):
        installation_create(release=release, department=make_department(), by=root)


def file_of(publisher, *, signer, version="1.0.0", **said):
    told = {"publisher": publisher, "listing": "tool", "version": version, "licence": "MIT"}
    persona = {"slug": "tool", "name": "Tool", "settings": {"schema_version": 1, "packages": ["nano"]}}
    return seal("bundle", pack(bundle_of({**told, "persona": {**persona, **said}})), signer)


@pytest.fixture
def root(db):
    return make_user("root", superuser=True)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (rb'"To\u0000ol"', "can't be stored: #/persona/name"),
        (rb'"To\ud800ol"', "can't be stored: #/persona/name"),
        (b"1" * 5000, "no JSON that could be read"),
        (b"[" * 40 + b"]" * 40, "nested deeper"),
        (b"[" * 100_000, "no JSON that could be read"),
    ],
)
def test_a_trusted_key_does_not_make_a_hostile_bundle_readable(client, root, said, told):
    trusted_key_create(public_key=KEY_A, name="Acme", publisher="acme", by=root)
    payload = header_of(file_of("acme", signer=A, name="TOOL")).payload.replace(b'"TOOL"', said)
    content = seal("bundle", payload, A)
    with pytest.raises(Refused, match=told):
        bundle_import(content=content, by=root)
    client.force_login(root)
    refused = client.post("/marketplace/import/", {"file": SimpleUploadedFile("a", content)})
    assert told in html.unescape(refused.content.decode())


@pytest.mark.parametrize("globex", ["globex", ""])
def test_a_trusted_key_speaks_for_one_publisher(root, globex):
    trusted_key_create(public_key=KEY_A, name="Acme, by telephone", publisher="acme", by=root)
    trusted_key_create(public_key=KEY_B, name="Globex, by letter", publisher=globex, by=root)
    release = bundle_import(content=file_of("acme", signer=A), by=root)
    with pytest.raises(Refused, match="trust it for acme"):
        bundle_import(content=file_of("acme", signer=B, version="2.0.0"), by=root)
    assert release.listing.newest == release
    assert bundle_import(content=file_of("globex", signer=B), by=root).listing.publisher.name == "globex"
    with pytest.raises(Refused, match="trusted for globex only"):
        bundle_import(content=file_of("initech", signer=B), by=root)


def test_a_key_that_is_trusted_for_nobody_by_name_is_pinned_by_its_first_file(root):
    key = trusted_key_create(public_key=KEY_A, name="Sister", by=root)
    bundle_import(content=file_of("sister", signer=A), by=root)
    key.refresh_from_db()
    assert key.publisher == "sister"
    assert AuditEntry.objects.get(action="trusted_key.pin").after["publisher"] == "sister"
    assert client_of(root).get("/api/v1/trusted-keys/").json()["results"][0]["publisher"] == "sister"


def test_keys_of_before_speak_for_whom_their_first_file_was_of(root):
    migration = import_module("marketplace.migrations.0014_trusted_keys_speak_for_one")
    used, unused = (trusted_key_create(public_key=key, name=key[:3], by=root) for key in (KEY_A, KEY_B))
    bundle_import(content=file_of("acme", signer=A), by=root)
    TrustedKey.objects.update(publisher="")
    migration.pin(apps, None)
    assert [TrustedKey.objects.get(pk=key.pk).publisher for key in (used, unused)] == ["acme", ""]


def test_a_publisher_of_files_rotates_and_loses_keys(root):
    trusted_key_create(public_key=KEY_A, name="Acme", publisher="Acme ", by=root)
    first = bundle_import(content=file_of("acme", signer=A), by=root)
    trusted_key_create(public_key=KEY_B, name="Acme's next", publisher="acme", by=root)
    second = bundle_import(content=file_of("acme", signer=B, version="2.0.0"), by=root)
    assert signed_by(first).key == KEY_A and second.listing == first.listing
    trusted_key_remove(public_key=KEY_A, by=root)
    assert signed_by(first) is None and signed_by(second).key == KEY_B
    bundle_import(content=file_of("acme", signer=B), by=root)
    assert signed_by(first).key == KEY_B


def test_a_file_whose_publisher_could_be_taken_for_ours_waits_for_a_moderator(release, root):
    trusted_key_create(public_key=KEY_A, name="Somebody", by=root)
    theirs = bundle_import(content=file_of("dba-tearn", signer=A), by=root)
    assert "DBA team" in theirs.listing.publisher.held_reason


def test_whom_a_key_speaks_for_is_asked_on_the_page(client, root):
    client.force_login(root)
    asked = {"public_key": KEY_A, "key_name": "Acme", "publisher": "acme"}
    url = "/marketplace/import/"
    refused = client.post(url, {**asked, "file": SimpleUploadedFile("a", file_of("globex", signer=A))})
    assert "is trusted for acme only" in html.unescape(refused.content.decode())
    assert not TrustedKey.objects.exists()
    wrong = client.post(
        url, {**asked, "publisher": "a/b", "file": SimpleUploadedFile("a", file_of("acme", signer=A))}
    )
    assert wrong.context["form"].errors.keys() == {"publisher"}
    assert (
        client.post(url, {**asked, "file": SimpleUploadedFile("a", file_of("acme", signer=A))}).status_code
        == 302
    )
    assert "for acme" in client.get(url).content.decode()


def test_a_trusted_key_is_removed_on_the_page(client, root, bob):
    key = trusted_key_create(public_key=KEY_A, name="Acme, by telephone", publisher="acme", by=root)
    client.force_login(root)
    link = f"/marketplace/import/keys/{key.pk}/remove/"
    assert link in client.get("/marketplace/import/").content.decode()
    asked = html.unescape(client.get(link).content.decode())
    assert "Acme, by telephone" in asked and "/marketplace/import/" in asked
    client.force_login(bob)
    assert client.post(link).status_code == 403 and TrustedKey.objects.exists()
    client.force_login(root)
    assert client.post(link).url == "/marketplace/import/"
    assert not TrustedKey.objects.exists() and AuditEntry.objects.filter(action="trusted_key.remove").exists()
