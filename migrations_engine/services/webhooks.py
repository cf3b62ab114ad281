"""Webhooks: managed by people, written into an outbox by what happens, sent by the clock."""

import secrets
import uuid
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import URLValidator
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from migrations_engine.domain import webhooks as rules
from migrations_engine.domain.notifications import message
from migrations_engine.domain.webhooks import DeliveryState, Event, ListenerKind
from migrations_engine.models import MigrationRun, Wave, Webhook, WebhookDelivery
from migrations_engine.services.notifications import notify, require_allowed
from personas.domain.canonical import canonical_json
from personas.errors import BadInput, Refused
from personas.models import Department, Role
from personas.services.access import require
from personas.services.audit import record
from personas.services.guarded_http import Unreachable, send
from personas.services.secret_box import seal, unseal

LEASE = timedelta(seconds=60)  # a sender that is silent for so long is dead
MOST_AT_ONCE = 20
TIMEOUT_S = 15


def webhook_create(
    *,
    department: Department | None,
    name: str,
    url: str,
    kind: str = ListenerKind.WEBHOOK,
    events: list[str] | None = None,
    by,
) -> tuple[Webhook, str]:
    """(row, secret): the only time that the secret is seen. Empty for a service: there the address is the secret."""
    require(by=by, department=department, role=Role.ADMIN)
    secret = "" if kind == ListenerKind.SERVICE else rules.secret_from(secrets.token_bytes(rules.SECRET_BYTES))
    webhook = Webhook(department=department, name=name, kind=kind, events=sorted(set(events or [])))
    _address(webhook, url)
    if secret:
        webhook.secret = seal(secret)
    with transaction.atomic():
        _check(webhook)
        webhook.save()
        record(by=by, action="webhook.create", obj=webhook, after=_told(webhook))
    return webhook, secret


def webhook_update(*, webhook: Webhook, by, **columns: Any) -> Webhook:
    """`columns`: name, url, events, is_enabled."""
    require(by=by, department=webhook.department, role=Role.ADMIN)
    with transaction.atomic():
        webhook = Webhook.objects.select_for_update().get(pk=webhook.pk)
        before = _told(webhook)
        address = columns.pop("url", webhook.url)
        for name, value in columns.items():
            setattr(webhook, name, value)
        if address != webhook.url:
            _address(webhook, address)
        _check(webhook)
        webhook.save()
        record(by=by, action="webhook.update", obj=webhook, before=before, after=_told(webhook))
    return webhook


def webhook_delete(*, webhook: Webhook, by) -> None:
    require(by=by, department=webhook.department, role=Role.ADMIN)
    with transaction.atomic():
        record(by=by, action="webhook.delete", obj=webhook, before=_told(webhook))
        webhook.delete()


def _address(webhook: Webhook, url: str) -> None:
    """A service's address holds its password or token: it is kept encrypted, and shown without."""
    if webhook.kind == ListenerKind.SERVICE:
        webhook.url, webhook.secret = require_allowed(url), seal(url)
    else:
        webhook.url = url


def _check(webhook: Webhook) -> None:
    webhook.full_clean()
    known = {event.value for event in Event} - {Event.TEST}
    if unknown := sorted(set(webhook.events) - known):
        raise BadInput({"events": [f"There is no event {name!r}." for name in unknown]})
    if webhook.kind == ListenerKind.WEBHOOK:
        try:
            URLValidator(schemes=["http", "https"])(webhook.url)
        except ValidationError:
            raise BadInput({"url": ["Write an address as https://host/path."]}) from None


def _told(webhook: Webhook) -> dict[str, Any]:
    return {
        "name": webhook.name,
        "kind": webhook.kind,
        "url": webhook.url,
        "events": webhook.events,
        "is_enabled": webhook.is_enabled,
    }


# --- the outbox ------------------------------------------------------------------------------------------------------


def run_happened(run: MigrationRun, event: Event) -> None:
    """Call it inside the transaction that made it happen: either both are there, or none."""
    data = {
        "run": str(run.pk), "state": str(run.state), "mode": str(run.mode), "vm": run.plan["vm"]["name"],
        "vm_id": str(run.vm_id), "root_cause": run.root_cause,
    }  # fmt: skip
    if run.drill:
        data["drill"] = run.drill
    _emit(run.department, event, data)


def wave_happened(wave: Wave, event: Event) -> None:
    data = {"wave": str(wave.pk), "name": wave.name, "state": str(wave.state), "reason": wave.reason}
    _emit(wave.department, event, data)


def _emit(department: Department, event: Event, data: dict[str, Any]) -> None:
    listeners = Webhook.objects.filter(Q(department=department) | Q(department=None), is_enabled=True)
    for webhook in listeners:
        if webhook.wants(event):
            _queue(webhook, event, data | {"department": department.slug})


def _queue(webhook: Webhook, event: Event, data: dict[str, Any]) -> WebhookDelivery:
    now = timezone.now()
    payload = {"type": str(event), "timestamp": now.isoformat(timespec="milliseconds"), "data": data}
    return WebhookDelivery.objects.create(
        webhook=webhook, message_id=f"msg_{uuid.uuid4().hex}", event=event, payload=payload, next_at=now
    )


def webhook_test(*, webhook: Webhook, by) -> WebhookDelivery:
    require(by=by, department=webhook.department, role=Role.ADMIN)
    with transaction.atomic():
        record(by=by, action="webhook.test", obj=webhook)
        return _queue(webhook, Event.TEST, {"webhook": webhook.name})


def delivery_replay(*, delivery: WebhookDelivery, by) -> WebhookDelivery:
    """Once more from the start, with the same id. Raises Refused while it is being tried."""
    require(by=by, department=delivery.webhook.department, role=Role.ADMIN)
    with transaction.atomic():
        delivery = WebhookDelivery.objects.select_for_update().get(pk=delivery.pk)
        if delivery.state == DeliveryState.WAITING:
            raise Refused("It is still being tried.")
        delivery.state, delivery.attempts, delivery.next_at = DeliveryState.WAITING, 0, timezone.now()
        delivery.save(update_fields=["state", "attempts", "next_at"])
        record(by=by, action="webhook.replay", obj=delivery.webhook, after={"message": delivery.message_id})
    return delivery


# --- the sender ------------------------------------------------------------------------------------------------------


def send_due(*, now: datetime) -> int:
    """Sends what is due; any number of senders may say so at once. Returns how many it tried."""
    waiting = WebhookDelivery.objects.filter(state=DeliveryState.WAITING, webhook__is_enabled=True)
    tried = 0
    for delivery in (
        waiting.filter(next_at__lte=now).select_related("webhook").order_by("next_at")[:MOST_AT_ONCE]
    ):
        held = WebhookDelivery.objects.filter(
            pk=delivery.pk, state=DeliveryState.WAITING, next_at=delivery.next_at
        )
        if held.update(next_at=now + LEASE):
            _settle(delivery, *_sent(delivery, now), now)
            tried += 1
    return tried


def _sent(delivery: WebhookDelivery, now: datetime) -> tuple[int | None, str]:
    """(HTTP status or None, what went wrong or empty)."""
    if delivery.webhook.kind == ListenerKind.SERVICE:
        return None, _notified(delivery)
    body = canonical_json(delivery.payload).encode()
    try:
        secret = unseal(delivery.webhook.secret)
        signed = rules.headers(
            secret=secret, message_id=delivery.message_id, timestamp=int(now.timestamp()), body=body
        )
        status = send(delivery.webhook.url, body=body, headers=signed, timeout_s=TIMEOUT_S)
    except Unreachable as error:
        return None, error.message
    except (Refused, ValueError) as error:
        return None, str(error)
    return status, "" if rules.is_taken(status) else f"It answers {status}."


def _notified(delivery: WebhookDelivery) -> str:
    """What went wrong, or empty."""
    title, body = message(delivery.payload)
    try:
        notify(unseal(delivery.webhook.secret), title=title, body=body)
    except Refused as error:
        return error.message
    return ""


def _settle(delivery: WebhookDelivery, status: int | None, error: str, now: datetime) -> None:
    attempts = delivery.attempts + 1
    columns: dict[str, Any] = {"attempts": attempts, "status": status, "error": error[:300]}
    pause = rules.next_try(attempts)
    if not error:
        columns |= {"state": DeliveryState.DELIVERED, "delivered_at": now, "next_at": None}
    elif pause is None or (status and rules.is_gone(status)):
        columns |= {"state": DeliveryState.FAILED, "next_at": None}
    else:
        columns |= {"next_at": now + pause}
    WebhookDelivery.objects.filter(pk=delivery.pk, state=DeliveryState.WAITING).update(**columns)
    if status and rules.is_gone(status):
        with transaction.atomic():
            Webhook.objects.filter(pk=delivery.webhook_id).update(is_enabled=False)
            after = {"is_enabled": False, "why": "It answers 410 Gone."}
            record(by=None, action="webhook.disable", obj=delivery.webhook, after=after)
