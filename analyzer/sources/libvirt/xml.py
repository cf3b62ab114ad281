"""Documents of a hypervisor, which may be somebody else's: no entities, no endless depth, no endless size."""

from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

MOST_CHARACTERS = 8 << 20
DEEPEST = 64
MOST_ELEMENTS = 200_000


def read_xml(text: str) -> Element:
    """Raises ValueError. A document type is refused: with it go entities, external files and their expansion."""
    if len(text) > MOST_CHARACTERS:
        raise ValueError("it is too long")
    builder, depth, count = TreeBuilder(), 0, 0

    def start(name, attributes):
        nonlocal depth, count
        depth, count = depth + 1, count + 1
        if depth > DEEPEST or count > MOST_ELEMENTS:
            raise ValueError("it is nested too deeply, or has too many elements")
        builder.start(_clark(name), {_clark(key): value for key, value in attributes.items()})

    def end(name):
        nonlocal depth
        depth -= 1
        builder.end(_clark(name))

    def doctype(*_):
        raise ValueError("it has a document type")

    parser = expat.ParserCreate(namespace_separator="}")
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = doctype
    try:
        parser.Parse(text.encode("utf-8", "replace"), True)
    except expat.ExpatError as error:
        raise ValueError(f"it is no XML ({expat.errors.messages[error.code]}, line {error.lineno})") from None
    return builder.close()


def _clark(name: str) -> str:
    """expat says uri}name, ElementTree {uri}name."""
    return "{" + name if "}" in name else name
