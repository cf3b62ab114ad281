"""Runs in the sandbox: the file on standard input, the inventory as JSON on standard output."""

import json
import sys

from analyzer.domain.inventory import Inventory, Unreadable
from analyzer.importers import ansible, csv_formats, workbook

_OLD_EXCEL = b"\xd0\xcf\x11\xe0"


def parsed(data: bytes) -> Inventory:
    """By its content, whatever it is called. Raises Unreadable."""
    if data.startswith(b"PK\x03\x04"):
        return workbook.read(data)
    if data.startswith(_OLD_EXCEL):
        raise Unreadable("it is an old .xls or an encrypted workbook: save it as .xlsx without a password")
    if data.lstrip(b"\xef\xbb\xbf \r\n\t")[:1] in (b"{", b"["):
        return ansible.read(data)
    return csv_formats.read(data)


def main() -> None:
    try:
        answer = parsed(sys.stdin.buffer.read()).model_dump_json()
    except Unreadable as error:
        answer = json.dumps({"unreadable": str(error)})
    sys.stdout.write(answer)


if __name__ == "__main__":
    main()
