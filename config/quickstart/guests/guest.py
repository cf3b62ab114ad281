"""Sample guests, built once and kept: the cache and the public function."""

import fcntl
import hashlib
import json
import os
import tempfile
import time
import uuid
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from config.quickstart.guests.agentless import TAKEN_OUT, write_without_agent
from config.quickstart.guests.apt import run
from config.quickstart.guests.full import as_every_user, build_full
from config.quickstart.guests.roles import ARCHIVE, CACHE, PLAIN, SCRIPTED, WEB
from config.quickstart.guests.tiny import Built, build_tiny

GuestName = Literal["tiny", "tiny-archive", "tiny-web", "tiny-cache", "tiny-scripted", "full", "full-agentless"]
Progress = Callable[[float, str], None]  # (0.0 to 1.0, what is being done)
BUILDERS = {
    "tiny": partial(build_tiny, PLAIN),
    "tiny-archive": partial(build_tiny, ARCHIVE),
    "tiny-web": partial(build_tiny, WEB),
    "tiny-cache": partial(build_tiny, CACHE),
    "tiny-scripted": partial(build_tiny, SCRIPTED),
    "full": build_full,
    "full-agentless": lambda *arguments: _build_agentless(*arguments),
}
# the modules that decide what an image holds: a change in one of them builds it anew
INGREDIENTS = {
    "tiny": ("apt", "disk", "initramfs", "kernels", "roles", "tiny"),
    "full": ("apt", "disk", "full", "kernels"),
    "full-agentless": ("agentless", "apt", "disk", "full", "kernels"),
}


@dataclass(frozen=True)
class Guest:
    """`kernels` as `uname -r` says them: the one that boots by itself first. `packages`: name → version."""

    name: str
    path: Path
    format: str
    kernels: tuple[str, ...]
    packages: dict[str, str]
    root_uuid: str
    built_s: float

    @property
    def default_kernel(self) -> str:
        return self.kernels[0]

    @property
    def other_kernel(self) -> str:
        return self.kernels[1]


def build_guest(name: GuestName, cache_dir: Path, progress: Progress = lambda done, text: None) -> Guest:
    """The guest's raw image in `cache_dir`, built unless this recipe's is there. Raises GuestBuildError.

    Beside the image lies `<name>-<recipe>.guest.json`, which says what went in. Two processes may call at once.
    """
    cache_dir.mkdir(parents=True, exist_ok=True)
    image = cache_dir / f"{name}-{recipe_hash(name)}.raw"
    with _locked(cache_dir / f".{name}.lock"):
        if not _description(image).exists():
            _build(name, image, progress)
    progress(1.0, f"{name} guest ready")
    return _load(name, image)


def recipe_hash(name: str) -> str:
    """Changes when the recipe does, not when the archive gets a newer kernel: a sample stays the sample it was."""
    modules = INGREDIENTS.get(name) or INGREDIENTS[name.split("-")[0]]
    texts = [(Path(__file__).parent / f"{module}.py").read_bytes() for module in modules]
    return hashlib.sha256(b"\0".join(texts)).hexdigest()[:12]


def _build(name: str, image: Path, progress: Progress) -> None:
    began = time.monotonic()
    part = image.with_suffix(".raw.part")
    root_uuid = str(uuid.uuid5(uuid.NAMESPACE_OID, image.name))
    for left in image.parent.glob(f".building-{name}.*"):  # by a build that was killed
        run([*as_every_user(), "rm", "-rf", str(left)])
    with tempfile.TemporaryDirectory(prefix=f".building-{name}.", dir=image.parent) as scratch:
        built = BUILDERS[name](part, Path(scratch), image.parent, root_uuid, progress)
    with open(part, "rb") as file:
        os.fsync(file.fileno())
    part.rename(image)
    description = _description(image)
    draft = description.with_suffix(".part")
    draft.write_text(json.dumps({**asdict(built), "built_s": round(time.monotonic() - began, 1)}, indent=1))
    draft.rename(description)  # last: its presence says that the image is whole


def _build_agentless(image: Path, scratch: Path, cache: Path, root_uuid: str, progress: Progress) -> Built:
    """From the full guest, so that it costs a copy and no second installation; its file system keeps its UUID."""
    full = build_guest("full", cache, progress)
    write_without_agent(full.path, image, scratch)
    packages = {name: version for name, version in full.packages.items() if name not in TAKEN_OUT}
    return Built(full.kernels, packages, full.root_uuid)


def _description(image: Path) -> Path:
    return image.with_suffix(".guest.json")


def _load(name: str, image: Path) -> Guest:
    text = json.loads(_description(image).read_text())
    kernels = tuple(text["kernels"])
    return Guest(name, image, "raw", kernels, text["packages"], text["root_uuid"], text["built_s"])


@contextmanager
def _locked(path: Path):
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
