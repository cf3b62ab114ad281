"""The contract of a scan's facts, and the child's idea of it."""

from typing import get_args

import pytest
from pydantic import BaseModel, ValidationError

from analyzer.domain import facts as contract
from analyzer.domain.facts import AREAS, Area, Facts, OperatingSystem, Package, ScanInfo
from analyzer.domain.printable import printable
from analyzer.scanner.child import notes, report

SCAN = ScanInfo(duration_ms=1, image_format="raw", virtual_size_bytes=1, allocated_bytes=1)


def test_unknown_fields_are_refused():
    with pytest.raises(ValidationError):
        OperatingSystem(id="debian", flavour="spicy")


@pytest.mark.parametrize("text", ["a\0b", "a\nb", "\u202egpj.exe", "\ud800", "\x9b31m"])
def test_unprintable_text_is_refused(text):
    with pytest.raises(ValidationError):
        OperatingSystem(name=text)


def test_too_long_text_is_refused():
    with pytest.raises(ValidationError):
        Package(name="x" * 257, version="1", manager="dpkg")


def test_facts_survive_a_round_trip_through_json():
    facts = Facts(scan=SCAN, packages=[Package(name="ä", version="1", manager="rpm")])
    assert Facts.model_validate_json(facts.model_dump_json()) == facts


def test_an_area_without_a_row_is_not_covered():
    assert Facts(scan=SCAN).covered("usage").state == "none"


def test_the_child_knows_the_same_areas():
    assert notes.AREAS == AREAS == get_args(Area)


def _fields():
    models = [
        each for each in vars(contract).values() if isinstance(each, type) and issubclass(each, BaseModel)
    ]
    return [(name, field) for model in models for name, field in model.model_fields.items()]


def _longest_list(field) -> int | None:
    lengths = [each.max_length for each in field.metadata if hasattr(each, "max_length")]
    return lengths[0] if lengths and "tuple" in str(field.annotation) else None


def test_the_child_cuts_every_list_to_what_the_contract_allows():
    lists = {name: _longest_list(field) for name, field in _fields() if _longest_list(field)}
    assert lists == report.LIST_LIMITS


def test_the_child_cuts_every_text_to_what_the_contract_allows():
    long = {name for name, field in _fields() if "max_length=1024" in f"{field.annotation} {field.metadata}"}
    assert long == report.LONG


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("plain text – ok ✓", "plain text – ok ✓"),
        ("two\nlines", "two\\nlines"),
        ("\u202egpj.exe", "\\u202egpj.exe"),
        (b"caf\xc3\xa9 \xff", "café \\xff"),
        ("nul\0", "nul\\x00"),
    ],
)
def test_printable_writes_out_what_cannot_be_seen(raw, shown):
    assert printable(raw) == shown


def test_printable_never_grows_beyond_its_limit():
    assert len(printable("\u202e" * 300)) == 256
    assert printable(printable("\u202e" * 300)) == printable("\u202e" * 300)
