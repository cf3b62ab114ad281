"""What a person types as an address is fetched only where it can do no harm."""

import ipaddress
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from personas.domain.addresses import refusal
from personas.services.guarded_http import Unreachable, fetch

TEN = [ipaddress.ip_network("10.0.0.0/8")]


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.0.0.1",
        "::1",
        "fd00::1",
        "64:ff9b::a00:1",
        "::ffff:10.0.0.1",
        "2002:a00:1::",
        "224.0.0.1",
    ],
)
def test_our_own_network_is_not_called(address):
    assert "private" in refusal(address)


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "::ffff:169.254.169.254", "fe80::1%eth0", "0.0.0.0", "::"]
)
def test_some_addresses_are_never_called(address):
    assert "never" in refusal(address, [ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0")])


def test_an_operator_allows_a_network():
    assert refusal("10.1.2.3", TEN) == refusal("64:ff9b::a01:203", TEN) == refusal("8.8.8.8") == ""
    assert refusal("192.168.0.1", TEN) != ""


class Peer(BaseHTTPRequestHandler):
    def do_GET(self):
        code, headers, body = self.server.answer
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def peer(settings):
    """(says(code, headers, body), its address)"""
    settings.OUTBOUND_PRIVATE_NETWORKS = [ipaddress.ip_network("127.0.0.0/8")]
    with HTTPServer(("127.0.0.1", 0), Peer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()

        def says(code=200, headers=None, body=b"hello"):
            server.answer = (code, headers or {}, body)
            return f"http://127.0.0.1:{server.server_port}/x"

        yield says
        server.shutdown()


def test_what_is_asked_for_is_fetched(peer):
    assert fetch(peer(), most_bytes=5) == b"hello"


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ({"body": b"hello!"}, "more than"),
        ({"code": 302, "headers": {"Location": "http://127.0.0.1/"}}, "answers 302"),
        ({"headers": {"Content-Encoding": "gzip"}, "body": b""}, "compressed"),
        ({"code": 500}, "answers 500"),
    ],
)
def test_what_is_not_taken(peer, answer, told):
    with pytest.raises(Unreachable, match=told):
        fetch(peer(**answer), most_bytes=5)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("file:///etc/passwd", "no address"),
        ("http://user:pw@example.org/", "no address"),
        ("http://127.0.0.1:1/", "private address"),
        ("http://localhost:1/", "private address"),
        ("http://[::ffff:169.254.169.254]/", "never called"),
    ],
)
def test_addresses_that_are_refused(settings, url, told):
    settings.OUTBOUND_PRIVATE_NETWORKS = []
    with pytest.raises(Unreachable, match=told):
        fetch(url, most_bytes=5)
