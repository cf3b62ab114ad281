"""What an inventory file tells: machines, and for each row that cannot be taken the reason."""

import re
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from analyzer.domain.printable import printable

MAX_MACHINES = 50_000  # of one file: five of the largest vCenters; more is split by whoever exports it
MAX_DISKS = 256  # a vSphere machine has at most 256
MAX_DISK_BYTES = 2**50  # sixteen times what vSphere can make; all disks of a machine still add up in 64 bits
MIB, GIB = 2**20, 2**30
_THOUSANDS = re.compile(r"\d{1,3}(,\d{3})+")
_MAC = re.compile(r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}")

FORMATS = {
    "rvtools": "RVTools",
    "azure_migrate": "Azure Migrate",
    "aws_discovery": "AWS Application Discovery",
    "mgn": "AWS MGN",
    "ansible": "Ansible facts",
    "csv": "Migration Personas CSV",
}


class Unreadable(Exception):
    """The whole file tells nothing; the message is one sentence for a person, safe to show."""


def number(value: Any) -> float | None:
    """`4`, `4.0`, `"8192"`, `"8,192"` → float; empty → None. Raises ValueError in words."""
    if value is None or value == "":
        return None
    text = str(value).strip()
    if _THOUSANDS.fullmatch(text):
        text = text.replace(",", "")
    try:
        told = float(text)
    except ValueError:
        raise ValueError(f"“{printable(text, 40)}” is not a number") from None
    if told != told or abs(told) > 2**63:
        raise ValueError(f"“{printable(text, 40)}” is not a number that means anything here")
    return told


def whole(value: Any) -> int | None:
    told = number(value)
    if told is not None and told != int(told):
        raise ValueError(f"{told:g} is not a whole number")
    return None if told is None else int(told)


def _mac(value: Any) -> str:
    text = str(value or "").strip().lower().replace("-", ":")
    if text and not _MAC.fullmatch(text):
        raise ValueError(f"“{printable(text, 40)}” is not a MAC address")
    return text


def _text(limit: int):
    return BeforeValidator(lambda value: printable(str("" if value is None else value).strip(), limit))


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ImportedNic(_Frozen):
    mac: Annotated[str, BeforeValidator(_mac)] = ""
    network: Annotated[str, _text(120)] = ""


class ImportedMachine(_Frozen):
    """None or "": the file does not tell. `disks`: sizes in bytes, in the order of the file."""

    row: int
    external_id: Annotated[str, Field(min_length=1, max_length=200), _text(201)]
    name: Annotated[str, Field(min_length=1, max_length=200), _text(201)]
    hostname: Annotated[str, _text(256)] = ""
    vcpus: Annotated[Annotated[int, Field(ge=1, le=4096)] | None, BeforeValidator(whole)] = None
    memory_mib: Annotated[Annotated[int, Field(ge=1, le=2**26)] | None, BeforeValidator(whole)] = (
        None  # 64 TiB
    )
    disks: tuple[Annotated[int, Field(ge=1, le=MAX_DISK_BYTES)], ...] = Field(default=(), max_length=MAX_DISKS)
    nics: tuple[ImportedNic, ...] = Field(default=(), max_length=64)
    os_id: Annotated[str, _text(64)] = ""
    os_version: Annotated[str, _text(64)] = ""
    power_state: Literal["on", "off", "unknown"] = "unknown"
    firmware: Literal["bios", "uefi", ""] = ""
    tags: dict[Annotated[str, _text(80)], Annotated[str, _text(200)]] = {}


class RowError(_Frozen):
    """`row` as a spreadsheet counts, the header being 1; 0: of the file. `field` is one of ImportedMachine or ""."""

    row: int
    field: str
    message: str


class Inventory(_Frozen):
    """`left_out`: rows that are no machines (templates, placeholders); nothing is wrong with them."""

    format: Literal[tuple(FORMATS)]
    machines: tuple[ImportedMachine, ...] = Field(default=(), max_length=MAX_MACHINES)
    errors: tuple[RowError, ...] = ()
    left_out: tuple[RowError, ...] = ()


def machine_or_errors(row: int, values: dict[str, Any]) -> ImportedMachine | list[RowError]:
    try:
        return ImportedMachine(row=row, **values)
    except ValidationError as error:
        return [_row_error(row, each) for each in error.errors()]


def _row_error(row: int, told: Any) -> RowError:
    field = str(told["loc"][0]) if told["loc"] else ""
    if told["type"] == "string_too_short":
        return RowError(row=row, field=field, message="is missing")
    return RowError(row=row, field=field, message=printable(told["msg"].removeprefix("Value error, "), 200))


def collected(format_name: str, found: Iterable[ImportedMachine | RowError], left_out=()) -> Inventory:
    """The file's machines and errors; of two rows with one external id the first counts, the other is an error.

    Raises Unreadable beyond MAX_MACHINES rows.
    """
    machines: dict[str, ImportedMachine] = {}
    errors: list[RowError] = []
    for each in found:
        if isinstance(each, RowError):
            errors.append(each)
        elif first := machines.get(each.external_id):
            message = f"is the same as in row {first.row}: {printable(each.external_id, 80)}"
            errors.append(RowError(row=each.row, field="external_id", message=message))
        else:
            machines[each.external_id] = each
        if len(machines) + len(errors) > MAX_MACHINES:
            raise Unreadable(f"it has more than {MAX_MACHINES:,} machines: split it")
    return Inventory(
        format=format_name, machines=tuple(machines.values()), errors=tuple(errors), left_out=tuple(left_out)
    )
