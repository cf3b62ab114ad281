"""A project in miniature: the real bootstrap, a lock of one package, an index that can be held up."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
import zipfile
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from config.bootstrap import pip_wheel
from config.bootstrap.progress import ROOT

START = """
import sys
from config.bootstrap import environment
environment.enter(sys.argv[1])
import probe
print(sys.prefix, probe.VERSION)
"""


@dataclass
class Project:
    root: Path
    index: Path  # wheels that pip may find

    def publish(self, version: str) -> str:
        """Put a wheel `probe` into the index; the line of a lock that asks for exactly it."""
        wheel = self.index / f"probe-{version}-py3-none-any.whl"
        about = f"probe-{version}.dist-info"
        with zipfile.ZipFile(wheel, "w") as file:
            file.writestr("probe.py", f"VERSION = {version!r}\n")
            file.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: probe\nVersion: {version}\n")
            file.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            file.writestr(f"{about}/RECORD", "")
        return f"probe=={version} --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n"

    def lock(self, line: str) -> None:
        (self.root / "requirements.lock").write_text(line)
        (self.root / "requirements-dev.lock").write_text(line)

    def begin(self, kind: str = "run", *, index: str | None = None) -> subprocess.Popen:
        """A start as a user makes it, from a bare Python; `index` is where this machine's pip is pointed."""
        machine = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
        pointed = {
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": index or str(self.index),
        }
        return subprocess.Popen(
            [sys._base_executable, "start.py", kind],
            cwd=self.root,
            env={**machine, **pointed},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def start(self, kind: str = "run", **options) -> subprocess.CompletedProcess:
        process = self.begin(kind, **options)
        output, errors = process.communicate(timeout=300)
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)

    def stamp(self) -> dict:
        return json.loads((self.root / ".venv/ready.json").read_text())


def make_project(folder: Path) -> Project:
    root, index = folder / "project", folder / "index"
    index.mkdir()
    shutil.copytree(ROOT / "config/bootstrap", root / "config/bootstrap")
    shutil.copy(ROOT / "config/__init__.py", root / "config/__init__.py")
    (root / "start.py").write_text(START)
    wheels = root / "var/cache/pip-wheel/tree" / pip_wheel.DEBIAN_FOLDER
    wheels.mkdir(parents=True)
    shutil.copy(pip_wheel.find_or_fetch(), wheels)  # a Python without pip would fetch it for each test
    made = Project(root, index)
    made.lock(made.publish("1.0"))
    return made


@pytest.fixture
def project(tmp_path):
    return make_project(tmp_path)


@dataclass
class FirstStart:
    folder: Path
    kept: Path  # what the folder held when it had ended
    answer: subprocess.CompletedProcess


@pytest.fixture(scope="module")
def first_start(tmp_path_factory):
    """Made once for a module: it takes seconds."""
    folder = tmp_path_factory.mktemp("started")
    answer = make_project(folder).start()
    kept = tmp_path_factory.mktemp("kept") / "folder"
    return FirstStart(folder, shutil.copytree(folder, kept, symlinks=True), answer)


@pytest.fixture
def started(first_start):
    """A project as its first start left it, at the very place: an environment cannot be moved."""
    shutil.rmtree(first_start.folder)
    shutil.copytree(first_start.kept, first_start.folder, symlinks=True)
    return Project(first_start.folder / "project", first_start.folder / "index")


class Index(ThreadingHTTPServer):
    """Serves a folder of wheels; a wheel is only sent once `open` is set, and `asked` is set when one is wanted."""

    def __init__(self, folder: Path):
        self.asked, self.open = threading.Event(), threading.Event()
        super().__init__(("127.0.0.1", 0), partial(Held, directory=str(folder)))
        self.url = f"http://127.0.0.1:{self.server_port}/"


class Held(SimpleHTTPRequestHandler):
    def do_GET(self):
        if self.path.endswith(".whl"):
            self.server.asked.set()
            self.server.open.wait()
        super().do_GET()

    def log_message(self, *args):
        pass  # not the tests' output


@pytest.fixture
def index(project):
    with Index(project.index) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.open.set()
        server.shutdown()
