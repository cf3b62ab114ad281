"""Workbooks made by hand, so that they can be wrong in any way: `workbook({"vInfo": rows})` → bytes."""

import io
import zipfile
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape, quoteattr

RELATION = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"

VINFO = [
    "VM",
    "Powerstate",
    "Template",
    "SRM Placeholder",
    "DNS Name",
    "CPUs",
    "Memory",
    "Firmware",
    "Cluster",
]
VINFO += ["OS according to the configuration file", "VM ID", "VM UUID", "VI SDK UUID"]


def vinfo(name: object = "web01", **cells) -> list:
    """A row of VINFO; a keyword per column, `_` for a space."""
    told = {
        "VM": name,
        "Powerstate": "poweredOn",
        "Template": "False",
        "SRM Placeholder": "False",
        "DNS Name": f"{name}.example",
        "CPUs": 4,
        "Memory": 8192,
        "Firmware": "efi",
        "Cluster": "blue",
        "OS according to the configuration file": "Debian GNU/Linux 12 (64-bit)",
        "VM ID": f"vm-{name}",
        "VM UUID": f"5000-{name}",
        "VI SDK UUID": "vc1",
    } | {key.replace("_", " "): value for key, value in cells.items()}
    return [told[column] for column in VINFO]


def workbook(
    sheets: Mapping[str, Sequence[Sequence]], *, dimension: str = "", parts: Mapping[str, bytes] = {}
) -> bytes:
    """`dimension`: what each sheet claims to span. `parts`: replace or add archive members."""
    names = list(sheets)
    files = {
        "[Content_Types].xml": _content_types(len(names)),
        "_rels/.rels": _relations([("officeDocument", "xl/workbook.xml")]),
        "xl/workbook.xml": _book(names),
        "xl/_rels/workbook.xml.rels": _relations(
            [("worksheet", f"worksheets/sheet{number}.xml") for number in range(1, len(names) + 1)]
        ),
    }
    for number, rows in enumerate(sheets.values(), start=1):
        files[f"xl/worksheets/sheet{number}.xml"] = sheet(rows, dimension)
    return packed({**{name: text.encode() for name, text in files.items()}, **parts})


def packed(files: Mapping[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


def sheet(rows: Sequence[Sequence], dimension: str = "") -> str:
    span = f"<dimension ref={quoteattr(dimension)}/>" if dimension else ""
    lines = "".join(
        f'<row r="{number}">{"".join(_cell(number, index, value) for index, value in enumerate(row))}</row>'
        for number, row in enumerate(rows, start=1)
    )
    return f'<worksheet xmlns="{MAIN}">{span}<sheetData>{lines}</sheetData></worksheet>'


def letters(index: int) -> str:
    """0 → A, 26 → AA"""
    head, tail = divmod(index, 26)
    return (letters(head - 1) if head else "") + chr(ord("A") + tail)


def _cell(row: int, index: int, value: object) -> str:
    place = f"{letters(index)}{row}"
    if value is None:
        return ""
    if isinstance(value, (int, float)):
        return f'<c r="{place}"><v>{value}</v></c>'
    return f'<c r="{place}" t="inlineStr"><is><t xml:space="preserve">{escape(str(value))}</t></is></c>'


def _book(names: list[str]) -> str:
    sheets = "".join(
        f'<sheet name={quoteattr(name)} sheetId="{number}" r:id="r{number}"/>'
        for number, name in enumerate(names, start=1)
    )
    return f'<workbook xmlns="{MAIN}" xmlns:r="{RELATION}"><sheets>{sheets}</sheets></workbook>'


def _relations(targets: list[tuple[str, str]]) -> str:
    each = "".join(
        f'<Relationship Id="r{number}" Type="{RELATION}/{kind}" Target="{target}"/>'
        for number, (kind, target) in enumerate(targets, start=1)
    )
    return f'<Relationships xmlns="{PACKAGE}/relationships">{each}</Relationships>'


def _content_types(count: int) -> str:
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    sheets = "".join(
        f'<Override PartName="/xl/worksheets/sheet{number}.xml" ContentType="{kind}.worksheet+xml"/>'
        for number in range(1, count + 1)
    )
    return (
        f'<Types xmlns="{PACKAGE}/content-types"><Default Extension="xml" ContentType="application/xml"/>'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{kind}.sheet.main+xml"/>{sheets}</Types>'
    )
