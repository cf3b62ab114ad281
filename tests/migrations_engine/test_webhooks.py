"""Webhooks against a receiver on this machine: signed, tried again, replayed, and never sent into our own network."""

import base64
import hashlib
import hmac
import http.server
import json
import threading
from contextlib import contextmanager
from datetime import timedelta
from ipaddress import ip_network

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from migrations_engine import pipeline
from migrations_engine.domain.states import RunState
from migrations_engine.domain.webhooks import BACKOFF, DeliveryState, headers, next_try
from migrations_engine.models import MigrationRun, WebhookDelivery
from migrations_engine.services import waves, webhooks
from personas.errors import BadInput, NotAllowed, Refused
from tests import factories
from tests.migrations_engine.test_waves import dispatch, end, make_wave


@contextmanager
def receiver(*statuses: int):
    """(address, [what came: (headers, body)]); answers with the statuses in turn, the last one for ever."""
    came, left = [], list(statuses)

    class Hook(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            came.append((dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(left.pop(0) if len(left) > 1 else left[0])
            self.end_headers()

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/hook?a=1", came
        server.shutdown()


@pytest.fixture(autouse=True)
def loopback_is_allowed(settings):
    settings.OUTBOUND_PRIVATE_NETWORKS = [ip_network("127.0.0.0/8")]


@pytest.fixture
def admin(estate):
    return factories.make_member(estate.department, "admin")


def hook(estate, admin, url="https://chat.example/hook", **columns):
    return webhooks.webhook_create(department=estate.department, name="Chat", url=url, by=admin, **columns)


def send(after=timedelta()):
    return webhooks.send_due(now=timezone.now() + after)


def test_signature_is_that_of_the_specification():
    """The example of github.com/standard-webhooks/standard-webhooks, computed here by hand."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    made = headers(
        secret=secret,
        message_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp=1614265330,
        body=b'{"test": 2432232314}',
    )
    assert made["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_run_that_ends_is_told_and_the_receiver_can_check_it(estate, admin, run_all):
    with receiver(200) as (url, came):
        webhook, secret = hook(estate, admin, url, events=["run.succeeded"])
        run = run_all(pipeline.run_start, **estate.launch())
        assert send() == 1
        assert send() == 0
    ((sent, body),) = came
    signed = f"{sent['webhook-id']}.{sent['webhook-timestamp']}.".encode() + body
    key = base64.b64decode(secret.removeprefix("whsec_"))
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert sent["webhook-signature"] == f"v1,{expected}"
    told = json.loads(body)
    assert (told["type"], told["data"]["run"], told["data"]["vm"]) == ("run.succeeded", str(run.pk), "web01")
    delivery = webhook.deliveries.get()
    assert (delivery.state, delivery.status, delivery.attempts) == (DeliveryState.DELIVERED, 200, 1)


def test_what_is_not_taken_is_tried_again_with_the_same_id(estate, admin):
    with receiver(500, 500, 204) as (url, came):
        webhook, _ = hook(estate, admin, url)
        webhooks.webhook_test(webhook=webhook, by=admin)
        assert (send(), send()) == (1, 0)  # not before its time
        assert (send(BACKOFF[0]), send(BACKOFF[0] + BACKOFF[1] + timedelta(seconds=1))) == (1, 1)
    assert len({sent["webhook-id"] for sent, _ in came}) == 1
    assert webhook.deliveries.get().state == DeliveryState.DELIVERED


def test_what_is_never_taken_is_given_up_and_can_be_replayed(estate, admin):
    with receiver(500) as (url, _):
        webhook, _ = hook(estate, admin, url)
        delivery = webhooks.webhook_test(webhook=webhook, by=admin)
        with pytest.raises(Refused, match="still being tried"):
            webhooks.delivery_replay(delivery=delivery, by=admin)
        WebhookDelivery.objects.update(attempts=len(BACKOFF))
        send()
        delivery.refresh_from_db()
        assert (delivery.state, delivery.error) == (DeliveryState.FAILED, "It answers 500.")
    with receiver(200) as (url, came):
        webhooks.webhook_update(webhook=webhook, by=admin, url=url)
        webhooks.delivery_replay(delivery=delivery, by=admin)
        send()
    assert [sent["webhook-id"] for sent, _ in came] == [delivery.message_id]


def test_backoff_grows_and_ends():
    pauses = [next_try(n) for n in range(1, len(BACKOFF) + 1)]
    assert pauses == sorted(pauses)
    assert next_try(len(BACKOFF) + 1) is None


def test_receiver_that_is_gone_is_told_nothing_more(estate, admin):
    with receiver(410) as (url, _):
        webhook, _ = hook(estate, admin, url)
        webhooks.webhook_test(webhook=webhook, by=admin)
        send()
    webhook.refresh_from_db()
    assert (webhook.is_enabled, webhook.deliveries.get().state) == (False, DeliveryState.FAILED)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/", "http://169.254.169.254/latest/", "http://[::1]/", "http://localhost/"]
)
def test_our_own_network_is_never_called(estate, admin, settings, url):
    settings.OUTBOUND_PRIVATE_NETWORKS = []
    webhook, _ = hook(estate, admin, url)
    webhooks.webhook_test(webhook=webhook, by=admin)
    send()
    told = webhook.deliveries.get().error
    assert "is not called" in told, told


def test_only_what_it_listens_to_and_only_of_its_department(estate, admin):
    webhook, _ = hook(estate, admin, events=["run.failed"])
    stranger = factories.make_member(role="admin")
    other, _ = webhooks.webhook_create(
        department=stranger.departments.get(), name="Other", url="https://o.example/", by=stranger
    )
    everywhere, _ = webhooks.webhook_create(
        department=None, name="All", url="https://a.example/", by=factories.make_user(superuser=True)
    )
    pipeline.run_start(**estate.launch())
    assert [row.deliveries.count() for row in (webhook, other, everywhere)] == [0, 0, 1]


def test_wave_that_waits_stops_or_ends_is_told(estate, admin):
    everywhere, _ = hook(estate, admin)
    wave = make_wave(estate, 1, needs_approval=True, stop_after=1)
    waves.wave_approve(wave=wave, by=estate.operator)
    dispatch()
    end(MigrationRun.objects.all(), RunState.FAILED)
    dispatch()
    waves.wave_resume(wave=wave, by=estate.operator)
    dispatch()
    told = WebhookDelivery.objects.filter(event__startswith="wave.").order_by("next_at")
    assert [row.payload["data"]["state"] for row in told] == ["approval", "stopped", "finished"]
    assert [row.event for row in told] == ["wave.approval", "wave.stopped", "wave.finished"]
    assert {row.webhook for row in told} == {everywhere}
    assert "1 of its machines failed" in told[1].payload["data"]["reason"]


def test_sender_that_died_is_followed_by_another(estate, admin):
    webhook, _ = hook(estate, admin)
    delivery = webhooks.webhook_test(webhook=webhook, by=admin)
    WebhookDelivery.objects.filter(pk=delivery.pk).update(
        next_at=timezone.now() + webhooks.LEASE
    )  # it holds it
    with receiver(200) as (url, came):
        webhooks.webhook_update(webhook=webhook, by=admin, url=url)
        assert (send(), send(webhooks.LEASE * 2)) == (0, 1)
    assert len(came) == 1


@pytest.mark.parametrize(
    ("columns", "field"), [({"url": "ftp://a.example/"}, "url"), ({"events": ["run.exploded"]}, "events")]
)
def test_webhook_that_makes_no_sense_is_refused(estate, admin, columns, field):
    with pytest.raises(BadInput) as refused:
        hook(estate, admin, **columns)
    assert field in refused.value.errors


def test_operator_manages_no_webhook(estate):
    with pytest.raises(NotAllowed):
        hook(estate, estate.operator)


def test_secret_is_shown_once_by_page_and_by_api(client, estate, admin):
    client.force_login(admin)
    posted = {"department": estate.department.pk, "name": "Page", "url": "https://chat.example/hook"}
    shown = client.post("/webhooks/new/", posted)
    assert "whsec_" in shown.content.decode()
    assert shown["Cache-Control"] == "no-store"
    api = APIClient()
    api.force_authenticate(admin)
    made = api.post(
        "/api/v1/webhooks/", posted | {"department": str(estate.department.pk), "name": "API"}
    ).json()
    assert made["secret"].startswith("whsec_")
    assert "secret" not in api.get(f"/api/v1/webhooks/{made['id']}/").json()
    delivery = api.post(f"/api/v1/webhooks/{made['id']}/test/").json()
    (listed,) = api.get(f"/api/v1/webhooks/{made['id']}/deliveries/").json()["results"]
    assert listed["id"] == delivery["id"]
    WebhookDelivery.objects.update(state="failed")
    place = f"/api/v1/webhooks/{made['id']}/deliveries/{delivery['id']}/replay/"
    assert api.post(place).json()["state"] == "waiting"
    page = client.get(f"/webhooks/{made['id']}/").content.decode()
    assert "Send a test" in page
    assert made["secret"] not in page
