"""A run's receipt: what stands in it, and that nobody can change a letter of it."""

import hashlib
import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from migrations_engine import pipeline
from migrations_engine.domain.seal import BadSeal, key_from, public_pem, sealed, verify
from migrations_engine.domain.terms import Commit, Terms
from migrations_engine.models import MigrationRun
from migrations_engine.services import commitment, waves
from migrations_engine.services.receipt import _key, receipt_of
from personas.domain.canonical import sha256_of
from tests import factories
from tests.migrations_engine.test_waves import dispatch, make_wave

KEY = key_from("a secret", "test")
PEM = public_pem(KEY)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@settings(max_examples=40)
@given(st.dictionaries(st.text().filter(lambda name: name != "signature"), JSON))
def test_what_is_sealed_is_genuine_after_a_round_trip(document):
    verify(json.loads(json.dumps(sealed(document, KEY))), PEM)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda doc: doc | {"state": "failed"}, "not the document"),
        (lambda doc: doc | {"more": 1}, "not the document"),
        (lambda doc: {k: v for k, v in doc.items() if k != "state"}, "not the document"),
        (lambda doc: doc | {"signature": doc["signature"] | {"value": "AAAA"}}, "not the document"),
        (lambda doc: doc | {"signature": doc["signature"] | {"value": "no base64!"}}, "not the document"),
        (lambda doc: doc | {"signature": None}, "no Ed25519"),
        (lambda doc: [], "no Ed25519"),
        (lambda doc: sealed({"state": "succeeded"}, key_from("a secret", "other")), "signed with the key"),
    ],
)
def test_anything_else_is_not(change, told):
    with pytest.raises(BadSeal, match=told):
        verify(change(sealed({"state": "succeeded", "n": 1}, KEY)), PEM)


@pytest.mark.parametrize("pem", ["", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"])
def test_key_that_is_none_is_told(pem):
    with pytest.raises(BadSeal, match="no public key"):
        verify(sealed({}, KEY), pem)


@pytest.fixture
def run(estate, run_all):
    terms = Terms(commit=Commit.BY_HAND)
    return run_all(pipeline.run_start, **estate.launch(terms=terms, overrides={"resources": {"vcpus": 2}}))


@pytest.fixture
def saved(run, tmp_path):
    """Receipt and public key as files."""
    receipt, key = tmp_path / "receipt.json", tmp_path / "key.pem"
    receipt.write_text(json.dumps(receipt_of(run), indent=2))
    told = StringIO()
    call_command("verify_receipt", print_key=True, stdout=told)
    key.write_text(told.getvalue())
    return receipt, key


def test_receipt_tells_what_was_asked_by_whom_and_what_was_done(run, estate):
    told = receipt_of(run)
    assert (told["started_by"], told["department"]) == (estate.operator.username, estate.department.name)
    assert (told["overrides"], told["terms"]["commit"]) == ({"resources": {"vcpus": 2}}, "by_hand")
    origin = {row["path"]: row["layer"] for row in told["origin"]}
    assert told["settings"]["resources"]["vcpus"] == 2
    assert origin["resources.vcpus"].startswith("launch")
    assert origin["kernel.version"].startswith("persona:DatabaseAdmin")
    assert [step["state"] for step in told["steps"]] == ["succeeded"] * 4
    assert f"machine {run.pk}: created" in told["resources"]


def test_receipt_tells_who_decided_what(run, estate, run_all):
    other = factories.make_member(estate.department, "operator")
    commitment.run_confirm(run=run, by=other)
    commitment.run_finalize(run=run, by=estate.operator)
    told = receipt_of(run)["decisions"]
    assert [(row["action"], row["by"]) for row in told] == [
        ("migration.confirm", other.username),
        ("migration.finalize", estate.operator.username),
    ]
    assert all(row["at"].endswith("+00:00") for row in told)


def test_receipt_tells_that_the_clock_went_back_and_why(run):
    timed = {"commit": Commit.TIMED, "confirm_minutes": 5, "confirm_by": timezone.now() - timedelta(seconds=1)}
    MigrationRun.objects.filter(pk=run.pk).update(**timed)
    commitment.roll_back_overdue(run_id=run.pk, now=timezone.now())
    (told,) = receipt_of(run)["decisions"]
    assert (told["action"], told["by"]) == ("migration.rollback", "system")
    assert "Nobody confirmed" in told["reason"]


def test_receipt_of_a_waves_run_names_its_approver(estate):
    wave = make_wave(estate, 1, needs_approval=True)
    approver = factories.make_member(estate.department, "operator")
    waves.wave_approve(wave=wave, by=approver)
    dispatch()
    (told,) = receipt_of(wave.members.get().run)["decisions"]
    assert (told["action"], told["by"]) == ("wave.approve", approver.username)


def test_receipt_says_which_bytes_its_scripts_were(estate, run_all):
    script = factories.make_script("tune", body="echo tuned")
    estate.persona.post_migration_script = script
    estate.persona.save()
    (told,) = receipt_of(run_all(pipeline.run_start, **estate.launch()))["scripts"]
    assert told["sha256"] == hashlib.sha256(b"echo tuned").hexdigest()


def test_receipt_of_before_verifies(run, tmp_path):
    told = {key: value for key, value in receipt_of(run).items() if key not in ("sha256", "signature", "decisions")}
    told["schema_version"] = 2
    old = tmp_path / "old.json"
    old.write_text(json.dumps(sealed(told | {"sha256": sha256_of(told)}, _key())))
    out = StringIO()
    call_command("verify_receipt", str(old), stdout=out)
    assert "Genuine" in out.getvalue()


def test_saved_receipt_verifies_offline(saved, django_db_blocker):
    receipt, key = saved
    out = StringIO()
    with django_db_blocker.block():
        call_command("verify_receipt", str(receipt), key=key, stdout=out)
    assert "Genuine" in out.getvalue()


@pytest.mark.parametrize(("old", "new"), [('"web01"', '"web02"'), ('"vcpus": 2', '"vcpus": 3'), ("{", "")])
def test_changed_receipt_does_not(saved, old, new):
    receipt, key = saved
    receipt.write_text(receipt.read_text().replace(old, new, 1))
    with pytest.raises(CommandError, match=r"not the document|no JSON"):
        call_command("verify_receipt", str(receipt), key=key)


def test_files_that_are_not_there_are_told(tmp_path):
    with pytest.raises(CommandError, match="No such file"):
        call_command("verify_receipt", str(tmp_path / "none.json"))
