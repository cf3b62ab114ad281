"""What was put on the machine beside its package manager: directories, compose files, containers."""

import json

from analyzer.scanner.child.notes import Notes
from analyzer.scanner.child.tree import Tree

MOST_DIRECTORIES = 256
MOST_COMPOSE_FILES = 64
MOST_CONTAINERS = 512
_COMPOSE = ("docker-compose.yml", "docker-compose.yaml", "compose.yml", "compose.yaml")
_DOCKER = "/var/lib/docker/containers"
_PODMAN = "/var/lib/containers/storage/overlay-containers/containers.json"


def read(tree: Tree, facts: dict, notes: Notes) -> None:
    directories = [
        {"path": f"{base}/{name}", "entries": len(tree.listing(f"{base}/{name}"))}
        for base in ("/opt", "/srv", "/var/www")
        for name, kind in tree.listing(base).items()
        if kind == "dir"
    ]
    facts["extras"] = {
        "directories": directories[:MOST_DIRECTORIES],
        "compose_files": _compose_files(tree)[:MOST_COMPOSE_FILES],
        "containers": [*_docker(tree, notes), *_podman(tree, notes)][:MOST_CONTAINERS],
    }
    if len(directories) > MOST_DIRECTORIES:
        notes.partial("extras", f"the first {MOST_DIRECTORIES} of {len(directories)} directories")
    notes.full("extras")


def _compose_files(tree: Tree) -> list[str]:
    bases = [
        f"{base}{deeper}" for base in ("/opt", "/srv", "/home", "/root") for deeper in ("", "/*", "/*/*")
    ]
    folders = [folder for base in bases for folder in (tree.glob(base) if "*" in base else [base])]
    return [
        f"{folder}/{name}"
        for folder in folders
        for name in _COMPOSE
        if tree.listing(folder).get(name) == "file"
    ]


def _docker(tree: Tree, notes: Notes) -> list[dict]:
    found = []
    for path in tree.glob(f"{_DOCKER}/*/config.v2.json", most=MOST_CONTAINERS):
        document = _json(tree, path, notes)
        config = document.get("Config") if isinstance(document, dict) else None
        if isinstance(config, dict):
            name = str(document.get("Name", "")).lstrip("/")
            found.append({"name": name, "image": str(config.get("Image", "")), "engine": "docker"})
    return found


def _podman(tree: Tree, notes: Notes) -> list[dict]:
    document = _json(tree, _PODMAN, notes)
    found = []
    for each in document if isinstance(document, list) else ():
        if isinstance(each, dict):
            names = each.get("names")
            metadata = _metadata(each.get("metadata"))
            name = str(names[0]) if isinstance(names, list) and names else str(each.get("id", ""))[:12]
            found.append({"name": name, "image": str(metadata.get("image-name", "")), "engine": "podman"})
    return found


def _metadata(text: object) -> dict:
    """Podman keeps a JSON document as a string inside its JSON."""
    try:
        document = json.loads(text) if isinstance(text, str) else {}
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _json(tree: Tree, path: str, notes: Notes) -> object:
    text = tree.text(path)
    if not text:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        notes.partial("extras", f"{path} is no JSON")
        return None
