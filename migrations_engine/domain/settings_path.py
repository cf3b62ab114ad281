"""Reading one leaf of merged settings by its dotted path."""

from collections.abc import Mapping
from typing import Any


def leaf(settings: Mapping[str, Any], path: str, default: Any = None) -> Any:
    """`leaf(settings, "resources.vcpus")`; `default` where the leaf, or a group above it, is absent or null."""
    value: Any = settings
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return default if value is None else value
