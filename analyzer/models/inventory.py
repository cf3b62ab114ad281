"""An inventory file that was read and waits for a person to say yes."""

import uuid

from django.conf import settings
from django.db import models


class InventoryUpload(models.Model):
    """One a source; the next upload takes its place. What it would change is worked out when it is looked at."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    source = models.OneToOneField("analyzer.SourceEndpoint", models.CASCADE, related_name="upload")
    file_name = models.CharField(max_length=200)
    content = models.JSONField(help_text="An analyzer.domain.inventory.Inventory.")
    uploaded_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    uploaded_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["-uploaded_at"]

    def __str__(self):
        return self.file_name
