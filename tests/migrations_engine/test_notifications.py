"""People told by services, against a receiver on this machine: what is allowed, what is said, what is kept secret."""

import json
from ipaddress import ip_network

import pytest
from django.utils import timezone

from migrations_engine import pipeline
from migrations_engine.domain.machine import Result
from migrations_engine.domain.notifications import message, scheme_of, secret_parts
from migrations_engine.domain.webhooks import DeliveryState
from migrations_engine.models import Webhook, WebhookDelivery
from migrations_engine.services import webhooks
from personas.errors import BadInput
from personas.models import AuditEntry
from tests import factories
from tests.migrations_engine.test_webhooks import receiver

pytestmark = pytest.mark.once  # what a service is told does not depend on the database; each telling is a process

CANARY = "c4n4ry-Zq9x"


@pytest.fixture(autouse=True)
def allowed(settings):
    """As an operator would allow a chat in his own network."""
    settings.NOTIFY_SCHEMES = frozenset({"json"})
    settings.OUTBOUND_PRIVATE_NETWORKS = [ip_network("127.0.0.0/8")]


@pytest.fixture
def admin(estate):
    return factories.make_member(estate.department, "admin")


def address_at(url: str) -> str:
    return f"json://mailer:{CANARY}@{url.removeprefix('http://').partition('/')[0]}/hook"


def listener(estate, admin, url: str, **columns) -> Webhook:
    row, secret = webhooks.webhook_create(
        department=estate.department, name="Night shift", kind="service", url=url, by=admin, **columns
    )
    assert secret == ""
    return row


@pytest.mark.parametrize(
    ("kind", "data", "title"),
    [
        ("run.failed", {"vm": "web01", "mode": "cold"}, "web01: the migration failed"),
        (
            "run.confirming",
            {"vm": "web{name}", "mode": "test"},
            "web{name}: the test migration waits for somebody to confirm it",
        ),
        ("wave.stopped", {"name": "First"}, "Wave First has stopped"),
    ],
)  # fmt: skip
def test_event_in_words(kind, data, title):
    assert message({"type": kind, "data": data})[0] == title


def test_text_holds_the_cause_and_whose_it_is():
    data = {"vm": "a", "root_cause": "no disk", "department": "dba", "run": "4711"}
    _, text = message({"type": "run.failed", "data": data})
    assert text == "no disk\nDepartment: dba\nRun: 4711"


def test_address_is_taken_apart():
    assert scheme_of("mailtos://user:pass@mail.example") == "mailtos"
    assert scheme_of("file:///etc/passwd") == "file"
    assert scheme_of("no address") == ""
    assert CANARY in secret_parts(f"slack://bot@{CANARY}/x")


def test_failed_run_is_told_to_people_in_words(estate, admin, world, run_all):
    with receiver(200) as (url, came):
        row = listener(estate, admin, address_at(url), events=["run.failed"])
        estate.persona.post_migration_script = factories.make_script("tune", body="echo tune")
        estate.persona.save()
        world.scripts["echo tune"] = Result(7, "", "no such database", 1.0)
        run = run_all(pipeline.run_start, **estate.launch())
        assert webhooks.send_due(now=timezone.now()) == 1
    (told,) = [json.loads(body) for _, body in came]
    assert told["title"] == "web01: the migration failed"
    assert told["message"].startswith("tune ended with exit code 7: no such database")
    assert str(run.pk) in told["message"]
    assert row.deliveries.get().state == DeliveryState.DELIVERED


def test_password_of_a_service_is_seen_nowhere(estate, admin, client):
    with receiver(500) as (url, _):
        row = listener(estate, admin, address_at(url))
        webhooks.webhook_test(webhook=row, by=admin)
        webhooks.send_due(now=timezone.now())
    delivery = row.deliveries.get()
    assert (delivery.state, delivery.attempts) == (DeliveryState.WAITING, 1)
    assert delivery.error
    client.force_login(admin)
    pages = [client.get(path).content.decode() for path in (
        "/webhooks/", f"/webhooks/{row.pk}/", f"/webhooks/{row.pk}/edit/", "/api/v1/webhooks/",
        f"/api/v1/webhooks/{row.pk}/deliveries/",
    )]  # fmt: skip
    trail = [f"{entry.before}{entry.after}" for entry in AuditEntry.objects.all()]
    assert [text for text in [*pages, *trail, row.url, row.secret, delivery.error] if CANARY in text] == []
    assert row.url.startswith("json://mailer:****@127.0.0.1")


def test_edit_without_a_new_address_keeps_the_old_one(estate, admin, client):
    with receiver(200) as (url, came):
        row = listener(estate, admin, address_at(url))
        client.force_login(admin)
        body = {"name": "Day shift", "url": row.url, "events": ["run.failed"], "is_enabled": "on"}
        assert client.post(f"/webhooks/{row.pk}/edit/", body).status_code == 302
        row.refresh_from_db()
        webhooks.webhook_test(webhook=row, by=admin)
        webhooks.send_due(now=timezone.now())
    assert (row.name, len(came)) == ("Day shift", 1)


@pytest.mark.parametrize("url", ["dbus://", "syslog://", "mailto://a:b@example.org", "file:///etc/passwd", "nonsense"])
def test_service_that_the_operator_did_not_allow_is_refused(estate, admin, url):
    with pytest.raises(BadInput):
        listener(estate, admin, url)
    assert not Webhook.objects.exists()


def test_service_in_our_own_network_is_not_called(estate, admin, settings):
    with receiver(200) as (url, came):
        row = listener(estate, admin, address_at(url))
        settings.OUTBOUND_PRIVATE_NETWORKS = []
        webhooks.webhook_test(webhook=row, by=admin)
        webhooks.send_due(now=timezone.now())
    assert came == []
    assert WebhookDelivery.objects.get().state == DeliveryState.WAITING


def test_scheme_that_is_taken_back_is_not_used_any_more(estate, admin, settings):
    with receiver(200) as (url, came):
        row = listener(estate, admin, address_at(url))
        settings.NOTIFY_SCHEMES = frozenset({"mailtos"})
        webhooks.webhook_test(webhook=row, by=admin)
        webhooks.send_due(now=timezone.now())
    assert came == []
    assert "not allowed" in WebhookDelivery.objects.get().error


def test_the_process_that_tells_starts_no_program():
    """Whatever a service of Apprise would like to do."""
    import subprocess
    import sys

    code = "from migrations_engine.notify_child import guard; guard([]); import os; os.system('true')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "PermissionError: os.system is not allowed here" in done.stderr


def test_made_by_page_and_api(estate, admin, client):
    client.force_login(admin)
    with receiver(200) as (url, _):
        body = {"department": estate.department.pk, "name": "Shift", "kind": "service", "url": address_at(url)}
        made = client.post("/webhooks/new/", body, follow=True)
        assert "People (mail, chat)" in made.content.decode()
        answer = client.post(
            "/api/v1/webhooks/", body | {"department": str(body["department"]), "name": "Other"},
            content_type="application/json",
        )  # fmt: skip
    assert answer.status_code == 201, answer.content
    assert (answer.json()["kind"], answer.json()["secret"]) == ("service", "")
    assert CANARY not in answer.content.decode() + made.content.decode()
