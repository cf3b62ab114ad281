"""An `.xlsx` file: looked at as an archive first, then read sheet by sheet."""

import io
import zipfile

import python_calamine

from analyzer.domain.inventory import Inventory, Unreadable
from analyzer.domain.printable import printable
from analyzer.importers import rvtools

MAX_PARTS = 1_000
MAX_UNPACKED = 256 * 2**20  # 3,500 machines make 30 MiB of XML
MAX_RATIO = 250  # of a large part; sheets of real exports pack 10 to 60 times
_LARGE = 16 * 2**20
_MARKUP = (".xml", ".rels")


def read(data: bytes) -> Inventory:
    """Raises Unreadable for a broken or hostile archive, and for a workbook without a vInfo tab."""
    _refuse_hostile(data)
    try:
        book = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(data))
        sheets = {name.lower().removeprefix("tab"): name for name in book.sheet_names}
        if "vinfo" not in sheets:
            raise Unreadable("it has no tab vInfo: export all of RVTools to one .xlsx")
        tabs = {tab: book.get_sheet_by_name(sheets[tab]).iter_rows() for tab in rvtools.TABS if tab in sheets}
        return rvtools.read(tabs)
    except (python_calamine.CalamineError, OSError) as error:
        raise Unreadable(f"it is a broken workbook: {printable(str(error), 200)}") from None


def _refuse_hostile(data: bytes) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            parts = archive.infolist()
            if len(parts) > MAX_PARTS or sum(part.file_size for part in parts) > MAX_UNPACKED:
                raise Unreadable(f"unpacked it is larger than {MAX_UNPACKED >> 20} MiB")
            for part in parts:
                _refuse_hostile_part(archive, part)
    except (
        zipfile.BadZipFile,
        NotImplementedError,
        RuntimeError,
        EOFError,
        OSError,
        zipfile.zlib.error,
    ) as error:
        raise Unreadable(f"it is a broken or encrypted archive: {printable(str(error), 200)}") from None


def _refuse_hostile_part(archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> None:
    if part.file_size > _LARGE and part.file_size > MAX_RATIO * max(part.compress_size, 1):
        raise Unreadable("a part of it unpacks to far more than a real export does (a zip bomb)")
    if part.filename.lower().endswith(_MARKUP):
        with archive.open(part) as stream:
            head = stream.read(4096)
        # no spreadsheet declares a document type; what does wants its entities expanded
        if b"<!DOCTYPE" in head or b"<!ENTITY" in head:
            raise Unreadable("a part of it declares XML entities, which no spreadsheet does")
