"""Acceptance checks against real sockets on this machine, and a guest that is played."""

import http.server
import socket
import threading
from contextlib import contextmanager

import pytest

from migrations_engine.domain.machine import MachineRef, Result
from migrations_engine.steps import acceptance


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(acceptance, "PATIENCE_S", -1)
    monkeypatch.setattr(acceptance, "HOLD_S", 0.3)


class Guest:
    """Answers each script with the same output."""

    def __init__(self, stdout="", exit_code=0):
        self.result = Result(exit_code, stdout, "", 0.1)

    def run(self, ref, script, timeout_s, once_key=None, keep_alive=None):
        return self.result


@contextmanager
def listener(behave):
    """A port on this machine; `behave(connection)` is called for each that comes."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return  # the test is over
                behave(connection)

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]


def check(wanted, forwards, guest=None):
    row = acceptance.check(
        guest or Guest("00000000"), MachineRef("fake", "k", "web01", forwards), wanted, lambda: None
    )
    return row.verdict.value, row.found


def test_service_that_waits_for_its_client_is_accepted():
    kept = []
    with listener(kept.append) as port:
        assert check({"kind": "tcp", "port": 5432}, {"tcp/5432": port})[0] == "pass"


def test_service_that_speaks_first_is_accepted():
    def greet(connection):
        connection.sendall(b"SSH-2.0-OpenSSH\r\n")
        connection.close()

    with listener(greet) as port:
        assert check({"kind": "tcp", "port": 22}, {"tcp/22": port})[0] == "pass"


def test_connection_that_is_dropped_at_once_is_not_accepted():
    with listener(lambda connection: connection.close()) as port:
        verdict, found = check({"kind": "tcp", "port": 5432}, {"tcp/5432": port})
    assert (verdict, "hangs up at once" in found) == ("fail", True)


def test_port_that_nothing_in_the_guest_listens_on_is_not_accepted():
    verdict, found = check({"kind": "tcp", "port": 5432}, {}, Guest(""))
    assert (verdict, found) == ("fail", "nothing in the guest listens on 5432")


def test_port_on_the_guests_loopback_only_is_not_accepted():
    verdict, found = check({"kind": "tcp", "port": 5432}, {}, Guest("0100007F\n"))
    assert (verdict, "loopback" in found) == ("fail", True)


@pytest.mark.parametrize(("path", "verdict"), [("/", "pass"), ("/missing", "fail")])
def test_page_must_answer_with_its_status(path, verdict):
    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/" else 404)
            self.end_headers()

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        found = check(
            {"kind": "http", "port": 80, "path": path, "status": 200}, {"tcp/80": server.server_port}
        )
        server.shutdown()
    assert found[0] == verdict


def test_page_that_is_not_forwarded_is_told():
    assert check({"kind": "http", "port": 80, "path": "/", "status": 200}, {}) == (
        "fail",
        "port 80 is not forwarded",
    )


@pytest.mark.parametrize(("exit_code", "verdict"), [(0, "pass"), (3, "fail")])
def test_unit_must_be_active(exit_code, verdict):
    guest = Guest("active" if exit_code == 0 else "inactive", exit_code)
    assert check({"kind": "systemd_unit", "unit": "nginx.service"}, {}, guest)[0] == verdict
