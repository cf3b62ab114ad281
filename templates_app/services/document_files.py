"""Documents in files: YAML or JSON (which is YAML), a bare document or {name:, priority:, settings:} around it."""

from pathlib import Path
from typing import Any

from personas.domain.drivers import dump_drivers, parse_drivers
from personas.domain.settings import InvalidSettings
from personas.domain.yaml_text import UnreadableYaml, load_yaml
from templates_app.domain.drivers import DriverSets
from templates_app.domain.layers import LONGEST_NAME, Layer, is_layer_name

MOST_BYTES = 1024 * 1024
WRAPPER = {
    *("name", "priority", "settings"),  # what counts here
    *("slug", "description", "hints", "persona", "source_kind", "target_kind"),  # what an export says besides
}


class UnreadableDocument(ValueError):
    """The file is not there, no YAML or JSON, or says one key twice."""

    def lines(self) -> list[str]:
        return [str(self)]


def layer_in(path: str, kind: str) -> Layer:
    """The layer that a file holds, named by its wrapper or else by the file."""
    read = _read(path)
    if isinstance(read, dict) and "settings" in read:
        return _wrapped(path, kind, read)
    return Layer(kind, Path(path).stem, None, {} if read is None else read)


def _wrapped(path: str, kind: str, wrapper: dict) -> Layer:
    name, priority = wrapper.get("name", Path(path).stem), wrapper.get("priority", 0)
    if unknown := sorted(set(wrapper) - WRAPPER):
        known = ", ".join(sorted(WRAPPER - {"settings"}))
        raise UnreadableDocument(f"{path}: {', '.join(unknown)}: not known beside settings (known: {known})")
    if not isinstance(name, str) or not is_layer_name(name) or type(priority) is not int:
        told = f"name must be 1 to {LONGEST_NAME} printable characters and priority a whole number"
        raise UnreadableDocument(f"{path}: {told}")
    return Layer(kind, name, None, wrapper["settings"], priority)


def driver_sets_in(path: str) -> DriverSets:
    """Slug → drivers from a file that says {slug: [driver]}. Raises UnreadableDocument, InvalidSettings."""
    read = _read(path)
    if not isinstance(read, dict):
        raise UnreadableDocument(f"{path}: must be a mapping of slug to drivers")
    found, wrong = {}, []
    for slug, drivers in read.items():
        try:
            found[slug] = dump_drivers(parse_drivers(drivers))
        except InvalidSettings as error:
            wrong += [
                {**each, "layer": path, "field": f"{slug}.{each['field']}".rstrip(".")}
                for each in error.errors
            ]
    if wrong:
        raise InvalidSettings(wrong)
    return found


def _read(path: str) -> Any:
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise UnreadableDocument(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UnreadableDocument(f"{path}: is not UTF-8") from None
    if len(text) > MOST_BYTES:
        raise UnreadableDocument(f"{path}: is larger than {MOST_BYTES // 1024} KiB")
    try:
        return load_yaml(text)
    except UnreadableYaml as error:
        line = f":{error.line}" if error.line else ""
        raise UnreadableDocument(f"{path}{line}: {error.problem}") from None
