"""Every kind of source there is."""

from analyzer.sources.base import Refused, Source
from analyzer.sources.images import ImageDirectory

_CLASSES = (ImageDirectory,)  # a hypervisor is opened by services/hypervisors.py: it needs a login
SOURCES: dict[str, type] = {each.kind: each for each in _CLASSES}
if len(SOURCES) != len(_CLASSES):
    raise RuntimeError("two sources claim the same kind")


def source_of_kind(kind: str, location: str) -> Source:
    """Raises Refused for a kind that does not exist."""
    if kind not in SOURCES:
        raise Refused(f"There is no source of kind {kind}; there are: {', '.join(sorted(SOURCES))}.")
    return SOURCES[kind](location)
