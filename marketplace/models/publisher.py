"""A namespace that a department publishes under."""

from django.db import models

from personas.models.owned import OwnedQuerySet
from personas.models.profile import Named


class Publisher(Named):
    """Its slug is unique in the whole instance: it is the first half of every listing's address."""

    needs_second_person = models.BooleanField(
        default=False,
        verbose_name="four eyes",
        help_text="A release is approved by somebody other than its author before it is published.",
    )

    objects = OwnedQuerySet.as_manager()

    class Meta(Named.Meta):
        constraints = [models.UniqueConstraint(fields=["slug"], name="one_publisher_per_slug")]

    def same_names(self):
        return type(self)._base_manager.select_related("department")
