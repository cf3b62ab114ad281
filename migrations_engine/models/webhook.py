"""Who is told of what happens, and how each telling went."""

import uuid

from django.db import models

from migrations_engine.domain.webhooks import DeliveryState, Event, ListenerKind
from personas.models.owned import Owned, OwnedQuerySet, unique_in_department

DELIVERY_STATES = [(s.value, s.value) for s in DeliveryState]
LABELS = {
    ListenerKind.WEBHOOK: "Another system (signed webhook)",
    ListenerKind.SERVICE: "People (mail, chat)",
}
KINDS = [(k.value, LABELS[k]) for k in ListenerKind]  # named in the OpenAPI document (config/settings.py)
EVENTS = [(e.value, e.value) for e in Event if e != Event.TEST]


class Webhook(Owned):
    """Of a department, or of the organisation: that one is told of every department. `events` empty: all. Another
    system is told by signed HTTP, people by a service that the operator allows."""

    name = models.CharField(max_length=80)
    kind = models.CharField(max_length=16, choices=KINDS, default=ListenerKind.WEBHOOK)
    url = models.CharField(
        "address", max_length=500, help_text="Of a service for people: what may be shown of it."
    )
    events = models.JSONField(default=list, blank=True)
    secret = models.TextField(
        help_text="Ciphertext: what is signed with, shown once; of a service for people, its whole address."
    )
    is_enabled = models.BooleanField(default=True)

    class Meta:
        ordering = ["name"]
        constraints = unique_in_department("webhook", "name")

    def __str__(self):
        return self.name

    def wants(self, event: str) -> bool:
        return self.is_enabled and (not self.events or event in self.events)


class WebhookDeliveryQuerySet(OwnedQuerySet):
    department_path = "webhook__department"


class WebhookDelivery(models.Model):
    """`message_id` stays the same over every try and replay, so that a receiver knows what it has had."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    webhook = models.ForeignKey(Webhook, models.CASCADE, related_name="deliveries")
    message_id = models.CharField(max_length=64, db_index=True)
    event = models.CharField(max_length=32)
    payload = models.JSONField()
    state = models.CharField(max_length=10, choices=DELIVERY_STATES, default=DeliveryState.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_at = models.DateTimeField(null=True, db_index=True)
    status = models.PositiveSmallIntegerField(null=True, help_text="HTTP status of the last try.")
    error = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    delivered_at = models.DateTimeField(null=True)

    objects = WebhookDeliveryQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        verbose_name_plural = "webhook deliveries"

    def __str__(self):
        return f"{self.event} to {self.webhook}"
