"""What else software is called, as an administrator knows it."""

from django.db import models
from django.urls import reverse

from personas.models.owned import Owned, unique_in_department


class SoftwareName(Owned):
    """A department's own row counts before the organisation's, and both before what is built in."""

    name = models.CharField(
        max_length=120,
        help_text="As the machine lists it: “acme-httpd”, “Acme Billing*”. * stands for anything; a plain name is met "
        "by its versions too.",
    )
    means = models.CharField(
        max_length=80,
        blank=True,
        help_text="A name that is known: “nginx”, “postgresql”, or a hint of a persona. Empty: it is on every machine "
        "and says nothing of what one is for.",
    )

    class Meta:
        ordering = ["name"]
        constraints = unique_in_department("softwarename", "name")

    def __str__(self):
        return f"{self.name} → {self.means or 'nothing'}"

    def get_absolute_url(self):
        return reverse("analyzer:softwarename_edit", args=[self.pk])
