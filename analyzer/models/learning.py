"""What the recommender of a department has learned, and how far it may go."""

import uuid

from django.db import models

from personas.models.owned import OwnedQuerySet

SHARED = "shared"  # the scope of what departments learn together


class Recommender(models.Model):
    """One per scope: a department's id, "organisation" for machines without one, "shared" for all who share.

    `state` is analyzer.domain.learner.Model as JSON; `previous` the one before the last reset, to revert to.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    scope = models.CharField(max_length=40, unique=True, editable=False)
    department = models.OneToOneField(
        "personas.Department", models.CASCADE, null=True, related_name="recommender"
    )
    enabled = models.BooleanField(
        default=True, help_text="Off: suggestions follow the fixed rules and learn nothing."
    )
    shadow = models.BooleanField(
        default=False,
        help_text="It learns and answers in silence, beside the fixed rules that are shown, until it is promoted.",
    )
    trial = models.JSONField(
        default=dict, editable=False, help_text="Since it went into the shadow: answers, learned_right, shown_right."
    )
    shares = models.BooleanField(
        default=False,
        help_text="Learns together with the other departments that share. What is shared are weights.",
    )
    state = models.JSONField(default=dict)
    previous = models.JSONField(default=dict)
    updated_at = models.DateTimeField(auto_now=True)

    objects = OwnedQuerySet.as_manager()

    def __str__(self):
        return f"recommender of {self.department or self.scope}"
