"""Who a publisher is: names that look like another's, what is proven, and what others who ran it say."""

import ipaddress
import socket
import socketserver
import ssl
import threading
import uuid
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import dns.message
import dns.resolver
import dns.rrset
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from django.utils import timezone

from marketplace.domain.look_alike import looks_like
from marketplace.models import Listing, Publisher
from marketplace.services import proof
from marketplace.services.installing import installation_create
from marketplace.services.publishing import publisher_create
from marketplace.services.reviews import review_reply, review_write
from personas.errors import NotAllowed, Refused, Stale
from personas.models import RunOutcome
from tests.factories import make_user
from tests.marketplace.test_sharing import APPROVED
from tests.personas.test_api import client_of


@pytest.mark.parametrize(
    "name",
    ["Database team", "DATABASE  TEAM", "Dаtаbаse Team", "Datebase Team", "Databse Team", "Databsae Team"],
)
def test_a_name_that_could_be_taken_for_another(name):
    assert looks_like(name, ["Web shop", "Database Team"]) == "Database Team"


@pytest.mark.parametrize("name", ["Storage Team", "Database Teams of Bonn", "DBA", "Web", "東京データ"])
def test_a_name_of_its_own(name):
    assert looks_like(name, ["Database Team", "DBB", "Weo", "大阪サーバー"]) is None


def test_a_look_alike_is_held_until_a_moderator_has_looked(release, bob, buyer, alice):
    held = publisher_create(by=bob, department=buyer, name="DBA teаm")
    assert "DBA team" in held.held_reason
    Listing.objects.create(publisher=held, slug="x", name="X")
    assert not Listing.objects.visible_to(alice).filter(publisher=held).exists()
    assert Listing.objects.visible_to(bob).filter(publisher=held).exists()
    with pytest.raises(NotAllowed):
        proof.hold_release(publisher=held, by=bob)
    root = make_user("root", superuser=True)
    assert client_of(root).post(f"/api/v1/publishers/{held.pk}/let-through/").json()["held_reason"] == ""
    assert Listing.objects.visible_to(alice).filter(publisher=held).exists()


def test_an_address_that_could_be_taken_for_anothers_is_held_too(release, bob, buyer):
    held = publisher_create(by=bob, department=buyer, name="Something else", slug="dba-tearn")
    assert "“dba-tearn” could be taken for “DBA team”" in held.held_reason
    assert publisher_create(by=bob, department=buyer, name="Web shop").held_reason == ""


def test_an_address_stays_what_others_have_written_down(release, alice):
    listing, client = release.listing, client_of(alice)
    for url, slug in (
        (f"publishers/{listing.publisher_id}", "dba-team"),
        (f"listings/{listing.pk}", listing.slug),
    ):
        refused = client.patch(f"/api/v1/{url}/", {"slug": "another"})
        (told,) = refused.json()["errors"]
        assert (refused.status_code, told["pointer"]) == (400, "#/slug") and slug in told["detail"]
        assert client.patch(f"/api/v1/{url}/", {"slug": slug}).status_code == 200
    assert client.get(f"/api/v1/publishers/{listing.publisher_id}/keys/").status_code == 200


@pytest.fixture
def proving(listing, alice):
    return proof.proof_begin(publisher=listing.publisher, domain="dba.example", by=alice)


class FileServer(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append((self.headers["Host"], self.path))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.server.says.encode())

    def log_message(self, *_):
        pass


def certificate_of(domain: str, path) -> None:
    """Key and self-signed certificate, as PEM in one file."""
    key, now = ec.generate_private_key(ec.SECP256R1()), timezone.now()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, domain)])
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(domain)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    plain = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(key.private_bytes(*plain) + signed.public_bytes(serialization.Encoding.PEM))


@pytest.fixture
def web_server(settings, tmp_path, monkeypatch):
    """A real HTTPS server that every name leads to, as the names of a company lead to its own network."""
    settings.OUTBOUND_PRIVATE_NETWORKS = [ipaddress.ip_network("127.0.0.0/8")]
    pem = tmp_path / "dba.pem"
    certificate_of("dba.example", pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    with ThreadingHTTPServer(("127.0.0.1", 0), FileServer) as server:
        server.says, server.asked = "something else\n", []
        server.socket = context.wrap_socket(server.socket, server_side=True)
        where = (socket.AF_INET, socket.SOCK_STREAM, 6, "", server.server_address)
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [where])
        monkeypatch.setenv("SSL_CERT_FILE", str(pem))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_a_domain_is_proven_by_a_file_of_a_real_web_server(client, proving, alice, web_server):
    with pytest.raises(Refused, match="does not say"):
        proof.proof_check(publisher=proving, how="file", by=alice)
    web_server.says = f"# us\n{proof.proof_line(proving)}\n"
    told = client_of(alice).post(f"/api/v1/publishers/{proving.pk}/check-proof/", {"how": "file"}).json()
    assert (told["domain"], told["verified_how"]) == ("dba.example", "file")
    assert web_server.asked == [("dba.example", "/.well-known/migration-personas.txt")] * 2
    client.force_login(alice)
    assert "dba.example" in client.get(proving.get_absolute_url()).content.decode()
    proof.proof_begin(publisher=proving, domain="other.example", by=alice)
    assert Publisher.objects.get(pk=proving.pk).verified_as == ""


def test_a_file_under_another_certificate_proves_nothing(proving, alice, web_server):
    proving = proof.proof_begin(publisher=proving, domain="other.example", by=alice)
    web_server.says = proof.proof_line(proving)
    with pytest.raises(Refused, match="certificate"):
        proof.proof_check(publisher=proving, how="file", by=alice)
    assert web_server.asked == []


def test_a_domain_that_is_changed_while_the_file_is_read_is_not_proven_by_it(proving, alice, web_server):
    web_server.says = proof.proof_line(proving)
    proof.proof_begin(publisher=proving, domain="other.example", by=alice)
    with pytest.raises(Stale, match="changed"):
        proof.proof_check(publisher=proving, how="file", by=alice)  # as read before the change
    assert Publisher.objects.get(pk=proving.pk).verified_as == ""


def test_a_file_that_can_not_be_read_proves_nothing(proving, alice, web_server, settings):
    settings.OUTBOUND_PRIVATE_NETWORKS = []
    with pytest.raises(Refused, match="private address"):
        proof.proof_check(publisher=proving, how="file", by=alice)


class NameServer(socketserver.BaseRequestHandler):
    def handle(self):
        data, wire = self.request
        query = dns.message.from_wire(data)
        answer = dns.message.make_response(query)
        name = query.question[0].name
        answer.answer = [dns.rrset.from_text(name, 60, "IN", "TXT", f'"{self.server.says}"')]
        wire.sendto(answer.to_wire(), self.client_address)


def test_a_domain_is_proven_by_a_record_of_a_real_name_server(proving, alice, monkeypatch):
    with socketserver.UDPServer(("127.0.0.1", 0), NameServer) as server:
        server.says = proof.proof_line(proving)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        resolver = dns.resolver.Resolver(configure=False)
        resolver.nameservers, resolver.port = ["127.0.0.1"], server.server_address[1]
        monkeypatch.setattr(dns.resolver, "Resolver", lambda: resolver)
        assert proof.proof_check(publisher=proving, how="dns", by=alice).verified_how == "dns"
        server.says = "something else"
        with pytest.raises(Refused, match="does not say"):
            proof.proof_check(publisher=proving, how="dns", by=alice)
        server.shutdown()


# --- reviews ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def installed(release, bob, buyer):
    return installation_create(release=release, department=buyer, by=bob, approved_script_sha256=APPROVED)


def ran(installed, outcome="succeeded", **columns):
    """As the engine writes it at the end of a run."""
    return RunOutcome.objects.create(
        run_id=uuid.uuid4(),
        persona=installed.persona,
        department=installed.department,
        machine_id=uuid.uuid4(),
        origin=str(installed.release_id),
        outcome=outcome,
        ended_at=timezone.now(),
        **columns,
    )


def test_what_was_changed_says_nothing_of_the_release(client, installed, listing, bob, buyer):
    ran(installed, is_changed=True)
    asked = {"department": str(buyer.pk), "stars": 1}
    answer = client_of(bob).post("/api/v1/reviews/", {"listing": str(listing.pk), **asked})
    assert answer.status_code == 403 and "as it was published" in answer.json()["detail"]
    client.force_login(bob)
    assert client.get(f"{listing.get_absolute_url()}review/").status_code == 403


def test_only_who_has_run_it_reviews_it_once(installed, listing, alice, bob, buyer, seller):
    ask = {"listing": listing, "department": buyer, "by": bob}
    with pytest.raises(NotAllowed, match="not finished a run"):
        review_write(**ask, stars=5)
    ran(installed, "cancelled")
    with pytest.raises(NotAllowed, match="not finished a run"):
        review_write(**ask, stars=5)
    ran(installed, "failed")
    first = review_write(**ask, stars=2, text="It failed")
    ran(installed)
    again = review_write(**ask, stars=4, text="Now it works")
    assert (again.pk, again.stars, listing.reviews.count()) == (first.pk, 4, 1)
    with pytest.raises(NotAllowed, match="itself"):
        review_write(listing=listing, department=seller, by=alice, stars=5)
    with pytest.raises(NotAllowed):
        review_reply(review=again, by=bob, reply="mine")
    assert review_reply(review=again, by=alice, reply="Thanks").reply == "Thanks"


def test_reviews_by_page_and_by_api(client, installed, listing, alice, bob, buyer):
    client.force_login(bob)
    page = listing.get_absolute_url()
    assert client.get(f"{page}review/").status_code == 403
    ran(installed)
    asked = {"department": buyer.pk, "stars": 4, "text": "Quick"}
    assert client.post(f"{page}review/", asked).status_code == 302
    api = client_of(bob).post(
        "/api/v1/reviews/", {"listing": str(listing.pk), "department": str(buyer.pk), "stars": 3}
    )
    assert (api.status_code, api.json()["version"]) == (201, "1.0.0")
    assert (
        client_of(bob).post("/api/v1/reviews/", {**asked, "listing": str(listing.pk), "stars": 9}).status_code
        == 400
    )
    review = listing.reviews.get()
    client.force_login(alice)
    client.post(f"/marketplace/reviews/{review.pk}/reply/", {"reply": "Thank you"})
    shown = client.get(page).content.decode()
    assert "of 1 department that ran it" in shown and "Thank you" in shown
