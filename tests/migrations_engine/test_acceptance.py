"""Acceptance checks against real sockets on this machine, and a guest that is played."""

import http.server
import socket
import threading
from contextlib import contextmanager

import pytest

from migrations_engine.domain.machine import MachineRef, Result
from migrations_engine.steps import acceptance
from personas.domain.checks import KINDS


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(acceptance, "PATIENCE_S", -1)
    monkeypatch.setattr(acceptance, "HOLD_S", 0.3)


class Guest:
    """Answers each script with the same output; takes the connections that are forwarded to it, or does not."""

    def __init__(self, stdout="", exit_code=0, accepts=True):
        self.result = Result(exit_code, stdout, "", 0.1)
        self.accepts = accepts

    def accepted(self, ref, host_port):
        return self.accepts

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
        guest or Guest("up\n00000000"), MachineRef("fake", "k", "web01", forwards), wanted, lambda: None
    )
    return row.verdict.value, row.found


def test_service_that_waits_for_its_client_is_accepted():
    kept = []
    with listener(kept.append) as port:
        assert check({"kind": "tcp", "port": 5432}, {"tcp/5432": port})[0] == "pass"


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ("up\n00000000", "is forwarded, and the guest does not answer there"),
        ("00000000", "listening on 5432, but no network card of the guest is up"),
        ("up", "nothing in the guest listens on 5432"),
    ],
)
def test_connection_that_the_guest_never_took_is_not_accepted(told, found):
    kept = []
    with listener(kept.append) as port:
        verdict, said = check({"kind": "tcp", "port": 5432}, {"tcp/5432": port}, Guest(told, accepts=False))
    assert (verdict, said.removeprefix(f"127.0.0.1:{port} ")) == ("fail", found)


@pytest.mark.parametrize(
    ("told", "verdict", "found"),
    [
        ("up\n00000000", "pass", "listening in the guest; the port is not forwarded"),
        ("00000000", "fail", "listening on 5432, but no network card of the guest is up"),
    ],
)
def test_port_that_is_not_forwarded_is_asked_for_inside_the_guest(told, verdict, found):
    assert check({"kind": "tcp", "port": 5432}, {}, Guest(told)) == (verdict, found)


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


@pytest.mark.parametrize(
    ("guest", "expected"),
    [
        (Guest("HTTP/1.0 200 OK\r\nServer: x\r\n\r\n<p>hello"), ("pass", "200 on port 80, asked inside the guest")),
        (Guest("HTTP/1.1 503 No\r\n\r\nhello"), ("fail", "503 on port 80, asked inside the guest")),
        (
            Guest("HTTP/1.1 200 OK\r\nX: hello\r\n\r\nbye"),
            ("fail", "200 on port 80, asked inside the guest without the text"),
        ),
        (Guest(""), ("fail", "port 80, asked inside the guest: nothing in the guest answers in HTTP")),
        (
            Guest("", exit_code=69),
            (
                "fail",
                "port 80, asked inside the guest: the guest has no program that could ask (nc, bash, python3)",
            ),
        ),
    ],
)
def test_page_that_is_not_forwarded_is_asked_inside_the_guest(guest, expected):
    wanted = {"kind": "http", "port": 80, "path": "/", "status": 200, "text": "hello"}
    assert check(wanted, {}, guest) == expected


@pytest.mark.parametrize(("exit_code", "verdict"), [(0, "pass"), (3, "fail")])
def test_unit_must_be_active(exit_code, verdict):
    guest = Guest("active" if exit_code == 0 else "inactive", exit_code)
    assert check({"kind": "systemd_unit", "unit": "nginx.service"}, {}, guest)[0] == verdict


@pytest.mark.parametrize(("text", "verdict"), [("Welcome", "pass"), ("Goodbye", "fail")])
def test_page_must_hold_its_text(text, verdict):
    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<h1>Welcome</h1>")

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        found = check({"kind": "http", "text": text}, {"tcp/80": server.server_port})
        server.shutdown()
    assert (found[0], "without the text" in found[1]) == (verdict, verdict == "fail")


@pytest.mark.parametrize(
    ("wanted", "guest", "verdict", "found"),
    [
        ({"kind": "mount", "path": "/srv"}, Guest("/dev/vdb1"), "pass", "/dev/vdb1"),
        ({"kind": "mount", "path": "/srv"}, Guest("", 1), "fail", "nothing is mounted there"),
        ({"kind": "package", "package": "nginx"}, Guest("installed 1.22"), "pass", "installed 1.22"),
        ({"kind": "package", "package": "nginx"}, Guest("", 1), "fail", "not installed"),
        ({"kind": "command", "command": "x", "exit_code": 3}, Guest("a\nb", 3), "pass", "exit code 3: b"),
        ({"kind": "command", "command": "x"}, Guest("", 3), "fail", "exit code 3"),
        ({"kind": "boot_time", "at_most_s": 20}, Guest("19.5"), "pass", "19.5 s"),
        ({"kind": "boot_time", "at_most_s": 20}, Guest("20.5"), "fail", "20.5 s"),
        ({"kind": "boot_time", "at_most_s": 20}, Guest(""), "fail", "the guest could not tell"),
    ],
)
def test_guest_is_asked(wanted, guest, verdict, found):
    assert check(wanted, {}, guest) == (verdict, found)


def test_advisory_check_is_a_warning():
    assert check({"kind": "command", "command": "x", "must_pass": False}, {}, Guest("", 1))[0] == "warning"


def test_row_names_what_was_looked_at():
    row = acceptance.check(
        Guest(), MachineRef("fake", "k", "web01", {}), {"kind": "http", "port": 80, "path": "/"}, lambda: None
    )
    assert row.setting == "acceptance http 80 /"


def test_every_kind_of_the_vocabulary_can_be_looked_at():
    assert set(acceptance.LOOKS) == set(KINDS)
