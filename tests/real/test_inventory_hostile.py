"""Hostile inventory files meet the sandbox: each ends in a sentence, none with a machine."""

import pytest

from analyzer.domain.inventory import Unreadable
from analyzer.importers import read
from analyzer.importers.read import read_inventory
from analyzer.scanner.sandbox import Limits
from tests.analyzer.workbooks import MAIN, VINFO, sheet, vinfo, workbook

SHEET = "xl/worksheets/sheet1.xml"


def refused(data: bytes, limits: Limits = read.LIMITS) -> str:
    with pytest.raises(Unreadable) as told:
        read_inventory(data, limits)
    return str(told.value)


def test_a_workbook_passes_the_sandbox_unharmed():
    found = read_inventory(workbook({"vInfo": [VINFO, vinfo("web01"), vinfo("bad", CPUs="many")]}))
    assert [each.name for each in found.machines] == ["web01"]
    assert [(each.row, each.field) for each in found.errors] == [(3, "vcpus")]


def test_a_zip_bomb_is_known_before_it_is_unpacked():
    assert "zip bomb" in refused(workbook({"vInfo": [VINFO]}, parts={SHEET: b" " * (20 << 20)}))
    assert "larger than" in refused(workbook({"vInfo": [VINFO]}, parts={SHEET: b" " * (257 << 20)}))


def test_a_billion_laughs_is_refused():
    laughs = b'<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>'
    body = sheet([VINFO, vinfo("&b;")]).replace("&amp;b;", "&b;").encode()
    assert "entities" in refused(workbook({"vInfo": []}, parts={SHEET: laughs + body}))


def test_one_cell_in_the_last_corner_costs_no_more_than_its_limit():
    corner = '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData>'
    text = sheet([VINFO, vinfo("web01")]).replace("</sheetData>", corner)
    assert "memory" in refused(workbook({"vInfo": []}, parts={SHEET: text.encode()}))


def test_a_broken_part_and_a_cut_archive_are_told():
    whole = workbook({"vInfo": [VINFO, vinfo("web01")]})
    assert "broken" in refused(whole[: len(whole) // 2])
    assert refused(
        workbook({"vInfo": []}, parts={SHEET: f'<worksheet xmlns="{MAIN}"><sheetData><row'.encode()})
    )
    assert "no tab vInfo" in refused(workbook({"Sheet1": [VINFO, vinfo("web01")]}))


def test_a_file_beyond_the_limit_is_not_even_read(monkeypatch):
    monkeypatch.setattr(read, "MAX_BYTES", 100)
    assert "larger" in refused(b"x" * 101)
    assert "empty" in refused(b" \n")


def test_json_without_a_bottom_ends():
    assert "JSON" in refused(b'{"a":' * 1_000_000)
