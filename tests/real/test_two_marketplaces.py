"""Two instances of the product on one machine: one publishes, the other one subscribes to its feed over a wire on which
somebody sits. Both are real processes with databases of their own; all is done by their APIs."""

import os
import shutil
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.real.api_client import Client
from tests.real.instance import wait_until
from tests.servers import free_port

PROJECT = Path(__file__).resolve().parent.parent.parent
SCRIPT = "#!/bin/sh\necho tuned\n"
FIRST_STEPS = """
from django.contrib.auth import get_user_model
from django.core.management import call_command
call_command("migrate", verbosity=0)
from personas.services.departments import department_create
from personas.services.tokens import token_create
admin = get_user_model().objects.create_superuser("admin")
for name in ("Databases", "Web shop"):
    department_create(by=admin, name=name)
print("TOKEN", token_create(by=admin, name="test", scopes=["read", "write"])[1])
"""


class Wire(BaseHTTPRequestHandler):
    """Passes on what the publisher says, or what `tamper` makes of it."""

    def do_GET(self):
        url = f"{self.server.upstream}{self.path}"
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                body = answer.read()
        except urllib.error.HTTPError as error:
            self.send_error(error.code)
            return
        body = self.server.tamper(self.path, body)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextmanager
def wire(upstream: str):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Wire)
    server.upstream, server.tamper = upstream, lambda path, body: body
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def environment(var: Path) -> dict[str, str]:
    ours = {
        name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "CELERY_BROKER_URL")
    }
    private = {"OUTBOUND_PRIVATE_NETWORKS": "127.0.0.0/8", "DJANGO_SETTINGS_MODULE": "config.settings"}
    return {**ours, **private, "MIGRATION_PERSONAS_VAR": str(var)}


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """(a `var` with two departments, the token of its superuser): both instances begin with a copy of it."""
    var = tmp_path_factory.mktemp("begun") / "var"
    done = subprocess.run(
        [sys.executable, "manage.py", "shell", "--no-imports", "-c", FIRST_STEPS],
        cwd=PROJECT, env=environment(var), capture_output=True, text=True, check=True,
    )  # fmt: skip
    return var, done.stdout.split("TOKEN ")[1].split()[0]


@contextmanager
def instance(var: Path, token: str):
    """A client of a running instance on that `var`."""
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "gunicorn",
        "config.wsgi",
        "--bind",
        f"127.0.0.1:{port}",
        "--threads",
        "4",
    ]
    with (var / "server.log").open("wb") as log:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *command, "--no-control-socket"],
            cwd=PROJECT, env=environment(var), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
    client = Client(f"http://127.0.0.1:{port}", token)
    try:
        wait_until(client.is_alive, "the instance answers", said=(var / "server.log").read_text, pause_s=0.1)
        yield client
    finally:
        process.terminate()
        process.wait()


@pytest.fixture
def two(begun, tmp_path):
    """(publisher, subscriber, the wire between them)"""
    source, token = begun
    folders = [shutil.copytree(source, tmp_path / name) for name in ("publisher", "subscriber")]
    shutil.rmtree(folders[1] / "keys")  # keys of its own
    with (
        instance(folders[0], token) as ours,
        instance(folders[1], token) as theirs,
        wire(ours.base) as between,
    ):
        yield ours, theirs, between


def published(ours: Client) -> dict:
    department = ours.get("departments/?search=Databases")["results"][0]["id"]
    own = {"department": department}
    script = ours.post("scripts/", {**own, "name": "Tune", "slug": "tune", "body": SCRIPT})
    persona = ours.post(
        "personas/",
        {
            **own,
            "name": "Tuned database",
            "packages": ["postgresql-15"],
            "post_migration_script": script["id"],
        },
    )
    publisher = ours.post("publishers/", {**own, "name": "DBA team"})
    words = {"summary": "PostgreSQL, tuned", "readme": "Expects *Debian*.", "visibility": "public"}
    told = {"publisher": publisher["id"], "persona": persona["id"], **words}
    listing = ours.post("listings/", told)
    release = ours.post(f"listings/{listing['id']}/releases/", {"version": "1.0.0", "licence": "Apache-2.0"})
    return {
        "publisher": publisher["id"],
        "persona": persona["id"],
        "listing": listing["id"],
        "release": release,
    }


def changed_in_bundles(path: str, body: bytes) -> bytes:
    return body.replace(b"echo tuned", b"echo tunes", 1) if "/bundles/" in path else body


def test_subscribe_install_refuse_follow(two):
    ours, theirs, between = two
    made = published(ours)
    old_file = ours.read(f"releases/{made['release']['id']}/file/")
    feed = f"http://127.0.0.1:{between.server_port}/marketplace/feed"
    catalogue = theirs.post("catalogues/", {"name": "Sister company", "url": feed, "department": None})["id"]

    # one byte of the bundle changed on the wire, everything else genuine: shown, refused, not to be installed
    between.tamper = changed_in_bundles
    told = theirs.post(f"catalogues/{catalogue}/refresh/")
    assert "changed since it was signed" in told["refused"][0]["reason"]
    assert theirs.get("listings/")["results"][0]["newest_version"] is None

    # untouched: the very bytes, installed with the script that was read
    between.tamper = lambda path, body: body
    assert theirs.post(f"catalogues/{catalogue}/refresh/")["refused"] == []
    listing = theirs.get("listings/")["results"][0]
    (release,) = theirs.get(f"listings/{listing['id']}/releases/")
    assert release["sha256"] == made["release"]["sha256"]
    shop = theirs.get("departments/?search=Web")["results"][0]["id"]
    asked = {"release": release["id"], "department": shop, "approved_script_sha256": release["script_sha256"]}
    installed = theirs.post("installations/", asked)
    assert theirs.get(f"personas/{installed['persona']}/")["packages"] == ["postgresql-15"]

    # an old feed is not taken for new
    first_feed = ours.raw("/marketplace/feed")
    ours.post(f"publishers/{made['publisher']}/rotate/")
    ours.post(f"listings/{made['listing']}/releases/", {"version": "1.1.0", "licence": "Apache-2.0"})
    assert theirs.post(f"catalogues/{catalogue}/refresh/")["refused"] == []
    between.tamper = lambda path, body: first_feed if path.endswith("/feed") else body
    code, refused = theirs.ask("POST", f"catalogues/{catalogue}/refresh/")
    assert code == 409 and "is known already" in refused["detail"]
    between.tamper = lambda path, body: body

    # the rotation was followed: 1.1.0 is signed by the new key
    newer = theirs.get(f"listings/{listing['id']}/releases/")[0]
    assert newer["version"] == "1.1.0"
    assert (
        theirs.post(f"installations/{installed['id']}/update/", {"release": newer["id"]})["version"]
        == "1.1.0"
    )

    # the first key is revoked: what only it has signed is refused, by catalogue and as a file
    keys = ours.get(f"publishers/{made['publisher']}/keys/")
    ours.post(
        f"publishers/{made['publisher']}/revoke/", {"key": keys["first"], "reason": "The laptop was stolen"}
    )
    assert theirs.import_file(old_file)[0] == 201  # not known here yet: it is the release that is here
    assert theirs.post(f"catalogues/{catalogue}/refresh/")["refused"] == []
    code, refused = theirs.import_file(old_file)
    assert code == 409 and "The laptop was stolen" in refused["detail"]
    other = theirs.get("departments/?search=Databases")["results"][0]["id"]
    code, refused = theirs.ask("POST", "installations/", {**asked, "department": other})
    assert code == 409 and "no key that is trusted" in refused["detail"]
    asked |= {"release": newer["id"], "department": other}
    assert theirs.ask("POST", "installations/", asked)[0] == 201

    # taken down there: not run here any more, until it is restored there
    takedown = ours.post(f"listings/{made['listing']}/takedown/", {"reason": "It opens a back door"})
    theirs.post(f"catalogues/{catalogue}/refresh/")
    (notice,) = theirs.get(f"personas/{installed['persona']}/")["notices"]
    assert notice["blocks"] and "back door" in notice["text"]
    ours.post(f"takedowns/{takedown['id']}/lift/", {"reason": "It does not"})
    theirs.post(f"catalogues/{catalogue}/refresh/")
    assert theirs.get(f"personas/{installed['persona']}/")["notices"] == []
