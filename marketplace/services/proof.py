"""Proof that a publisher controls a domain: a file on its web server, or a TXT record; or a superuser's word. Who could
be taken for another one is held until a moderator has looked.
"""

import re
import secrets

import dns.exception
import dns.resolver
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from marketplace.domain.look_alike import looks_like
from marketplace.models import Publisher
from marketplace.models.publisher import Proof
from marketplace.services.keys import require_ours
from personas.errors import BadInput, NotAllowed, Refused, Stale
from personas.models import Role
from personas.services.access import require
from personas.services.audit import record
from personas.services.guarded_http import Unreachable, fetch
from personas.services.rows import locked

DOMAIN = re.compile(r"^(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}$")
FILE = ".well-known/migration-personas.txt"
RECORD = "_migration-personas"
MOST_BYTES = 4096
TIMEOUT_S = 10


def proof_line(publisher: Publisher) -> str:
    """What the file or the record has to say."""
    return f"migration-personas={publisher.proof_token}"


@transaction.atomic
def proof_begin(*, publisher: Publisher, domain: str, by) -> Publisher:
    """A new token for a domain; what was proven before is proven no more."""
    require(by=by, department=publisher.department, role=Role.ADMIN)
    require_ours(publisher)
    domain = domain.strip().lower().rstrip(".")
    if not DOMAIN.match(domain):
        raise BadInput({"domain": ["Give a domain, as in example.org."]})
    told = {"domain": domain, "proof_token": secrets.token_hex(16), "verified_how": "", "verified_at": None}
    return _written(publisher, "publisher.proof_begin", told, by, {"domain": domain})


def proof_check(*, publisher: Publisher, how: str, by) -> Publisher:
    """Looks for the token now. Raises Refused when it is not there."""
    require(by=by, department=publisher.department, role=Role.ADMIN)
    if not publisher.domain:
        raise Refused("Say first for which domain.")
    if how not in (Proof.FILE, Proof.DNS):
        raise BadInput({"how": ["Choose file or dns."]})
    lines = (
        _file_lines(publisher.domain) if how == Proof.FILE else txt_records(f"{RECORD}.{publisher.domain}")
    )
    if proof_line(publisher) not in lines:
        raise Refused(f"{publisher.domain} does not say {proof_line(publisher)!r}.")
    with transaction.atomic():
        if locked(publisher).proof_token != publisher.proof_token:  # the answer was about another domain
            raise Stale("The domain was changed while its proof was read. Check again.")
        return _proven(publisher, how, by)


def proof_by_admin(*, publisher: Publisher, by) -> Publisher:
    """A superuser knows who they are."""
    if not by.is_superuser:
        raise NotAllowed("Only a superuser vouches for a publisher.")
    require_ours(publisher)
    return _proven(publisher, Proof.ADMIN, by)


def hold_reason(publisher: Publisher, *, others: QuerySet) -> str:
    """Why a moderator has to look first: its name or its address could be taken for one of the others'. Empty: no
    reason."""
    known = others.values_list("name", "slug", "remote_slug")
    theirs = [word for row in known for word in row if word]
    for what, word in (("name", publisher.name), ("address", publisher.name_in_bundles)):
        if word and (like := looks_like(word, theirs)):
            return f"its {what} “{word}” could be taken for “{like}”"
    return ""


@transaction.atomic
def hold_release(*, publisher: Publisher, by) -> Publisher:
    """A moderator has looked: others may see it."""
    if not by.is_superuser:
        raise NotAllowed("Only a superuser lets a held publisher through.")
    return _written(
        publisher, "publisher.let_through", {"held_reason": ""}, by, {"held": publisher.held_reason}
    )


def txt_records(name: str, resolver: dns.resolver.Resolver | None = None) -> list[str]:
    try:
        answer = (resolver or dns.resolver.Resolver()).resolve(name, "TXT", lifetime=TIMEOUT_S)
    except (dns.exception.DNSException, OSError) as error:
        raise Refused(f"The record {name} can't be read: {error}") from None
    return [b"".join(row.strings).decode("utf-8", "replace") for row in answer]


def _file_lines(domain: str) -> list[str]:
    try:
        content = fetch(f"https://{domain}/{FILE}", most_bytes=MOST_BYTES, timeout_s=TIMEOUT_S)
    except Unreachable as error:
        raise Refused(error.message) from None
    return [line.strip() for line in content.decode("utf-8", "replace").splitlines()]


@transaction.atomic
def _proven(publisher: Publisher, how: str, by) -> Publisher:
    told = {"verified_how": how, "verified_at": timezone.now()}
    return _written(publisher, "publisher.verify", told, by, {"how": how, "domain": publisher.domain})


def _written(publisher: Publisher, action: str, columns: dict, by, told: dict) -> Publisher:
    row = locked(publisher)
    for name, value in columns.items():
        setattr(row, name, value)
    row.save(update_fields=list(columns))
    record(by=by, action=action, obj=row, after=told)
    return row
