"""Where machines go."""

from django.db import models

from personas.models.owned import Owned, unique_in_department


class TargetEndpoint(Owned):
    name = models.CharField(max_length=80)
    kind = models.CharField(max_length=16, default="qemu", choices=[("qemu", "This machine (QEMU)")])

    class Meta:
        ordering = ["name"]
        constraints = unique_in_department("targetendpoint", "name")

    def __str__(self):
        return self.name
