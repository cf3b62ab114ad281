"""What the people who run the instance get: figures for Prometheus, a support bundle that carries no secret."""

import io
import json
import zipfile
from datetime import timedelta

import pytest
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from migrations_engine import pipeline
from migrations_engine.domain.machine import Result
from migrations_engine.domain.redaction import GONE, redacted, redacted_text
from migrations_engine.domain.states import StepName
from migrations_engine.domain.terms import Mode, Terms
from migrations_engine.models import MigrationRun
from migrations_engine.services import claims
from migrations_engine.services.events import tell
from migrations_engine.services.metrics import metrics_text
from migrations_engine.services.support_bundle import support_bundle
from tests import factories

CANARY = "c4n4ry-Zq9x"


@pytest.mark.parametrize(
    "text",
    [
        f"password={CANARY}", f"DB_PASSWORD: '{CANARY}'", f'"api_token": "{CANARY}"', f"postgres://app:{CANARY}@db/x",
        f"Authorization: Bearer {CANARY}", f"curl -H 'X-Api-Key: {CANARY}'", f"token {CANARY}",
        f"-----BEGIN RSA PRIVATE KEY-----\n{CANARY}\n-----END RSA PRIVATE KEY-----", f"root:$6${CANARY}/abc:1::",
        f"-----BEGIN PRIVATE KEY-----\n{CANARY}", f"xoxb-{CANARY}-1234567890", f"mysql --password {CANARY}",
    ],
)  # fmt: skip
def test_secret_is_taken_out_of_a_text(text):
    told = redacted_text(text)
    assert CANARY not in told
    assert GONE in told


@pytest.mark.parametrize(
    "text", ["Copying the disk", "6.1.0-2-amd64", "exit code 7: no such file", "10.0.0.5:5432"]
)
def test_what_is_none_stays(text):
    assert redacted_text(text) == text


@settings(max_examples=50)
@given(st.text(min_size=6, max_size=30), st.text(max_size=40), st.text(max_size=40))
def test_known_secret_stands_nowhere(secret, before, after):
    assert secret in GONE or secret not in redacted_text(f"{before}{secret}{after}", [secret])


def test_secret_is_known_by_the_name_that_it_stands_beside():
    told = redacted({"a": [{"db-password": CANARY, "port": 5432}], "tokens": [CANARY], "name": "web01"})
    assert told == {"a": [{"db-password": GONE, "port": 5432}], "tokens": [GONE], "name": "web01"}
    row = {"setting": "monitoring_tags.api-token", "asked": CANARY, "beat": [{"layer": "system", "value": CANARY}]}
    assert redacted(row) == row | {"asked": GONE, "beat": [{"layer": "system", "value": GONE}]}


@pytest.fixture
def run(estate, world, run_all, settings):
    """A run with a canary in every place where people leave secrets."""
    settings.CREDENTIALS_KEY = f"{CANARY}-of-the-instance"
    body = f"#!/bin/sh\nexport PGPASSWORD={CANARY}\necho tuning\n"
    estate.persona.post_migration_script = factories.make_script("tune", body=body)
    estate.persona.monitoring_tags = {"api-token": CANARY, "cost-centre": "4711"}
    estate.persona.save()
    world.scripts["echo tuning"] = Result(
        0, f"connected to postgres://app:{CANARY}@db/x\n", f"token={CANARY}", 1.0
    )
    run = run_all(pipeline.run_start, **estate.launch())
    tell(run.pk, f"somebody wrote {settings.CREDENTIALS_KEY} and password: {CANARY}")
    return run


def unpacked(bundle: bytes) -> dict[str, str]:
    with zipfile.ZipFile(io.BytesIO(bundle)) as packed:
        return {name: packed.read(name).decode() for name in packed.namelist()}


def test_support_bundle_carries_no_canary_and_still_tells_the_story(run):
    files = unpacked(support_bundle(run))
    assert [name for name, text in files.items() if CANARY in text] == []
    assert json.loads(files["plan.json"])["merged"]["merged"]["monitoring_tags"]["cost-centre"] == "4711"
    assert [step["name"] for step in json.loads(files["steps.json"])] == [
        "analyze",
        "merge",
        "migrate",
        "post_script",
    ]
    assert "Copying the disk" in files["events.txt"]
    assert json.loads(files["versions.json"])["broker"] in ("filesystem", "redis")


def test_support_bundle_is_an_operators(client, run, estate):
    client.force_login(estate.operator)
    assert client.get(f"/migrations/{run.pk}/support/").content[:2] == b"PK"
    client.force_login(factories.make_member(estate.department, "viewer"))
    assert client.get(f"/migrations/{run.pk}/support/").status_code == 403


def test_figures_are_those_of_the_database(estate, run_all):
    done = run_all(pipeline.run_start, **estate.launch())
    waiting = pipeline.run_start(**estate.launch())
    MigrationRun.objects.filter(pk=waiting.pk).update(created_at=timezone.now() - timedelta(seconds=90))
    lines = metrics_text(timezone.now()).splitlines()
    assert 'migration_personas_runs{state="succeeded"} 1' in lines
    assert 'migration_personas_runs{state="failed"} 0' in lines
    assert 'migration_personas_steps{step="migrate",state="succeeded"} 1' in lines
    assert f"migration_personas_migrated_bytes {done.vm.disks.get().virtual_size_bytes}" in lines
    assert "# TYPE migration_personas_migrated_bytes gauge" in lines
    (age,) = [line for line in lines if line.startswith("migration_personas_queue_age_seconds ")]
    assert float(age.split()[1]) >= 90
    assert any(line.startswith('migration_personas_step_seconds_mean{step="analyze"}') for line in lines)


def test_rehearsal_moves_nothing(estate, run_all):
    run_all(pipeline.run_start, **estate.launch(terms=Terms(mode=Mode.TEST)))
    assert "migration_personas_migrated_bytes 0" in metrics_text(timezone.now()).splitlines()


def test_run_that_is_tried_again_waits_since_then(estate, run_all, world):
    world.on["copy"] = lambda: (_ for _ in ()).throw(OSError("disk full"))
    run = run_all(pipeline.run_start, **estate.launch())
    MigrationRun.objects.filter(pk=run.pk).update(created_at=timezone.now() - timedelta(days=2))
    pipeline.run_retry(run=run, by=estate.operator)
    lines = metrics_text(timezone.now() + timedelta(seconds=30)).splitlines()
    (age,) = [line for line in lines if line.startswith("migration_personas_queue_age_seconds ")]
    assert 30 <= float(age.split()[1]) < 90


def test_silent_worker_is_an_expired_lease(estate):
    run = pipeline.run_start(**estate.launch())
    claims.take(run_id=run.pk, name=StepName.ANALYZE)
    assert 'migration_personas_leases{state="held"} 1' in metrics_text(timezone.now())
    later = timezone.now() + timedelta(hours=1)
    assert 'migration_personas_leases{state="expired"} 1' in metrics_text(later)


def test_figures_are_for_a_superuser_or_a_token_of_one(client, db):
    from personas.services.tokens import token_create

    root = factories.make_user(superuser=True)
    _, secret = token_create(by=root, name="prometheus", scopes=["read"])
    told = client.get("/metrics", headers={"Authorization": f"Bearer {secret}"})
    assert told.status_code == 200
    assert told["Content-Type"].startswith("text/plain; version=0.0.4")
    client.force_login(factories.make_member())
    assert client.get("/metrics").status_code == 403
