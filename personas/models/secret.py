"""What a script must know and nobody may read: kept as ciphertext, used by its slug."""

from django.core.exceptions import ValidationError
from django.db import models
from django.urls import reverse

from personas.models.owned import unique_in_department
from personas.models.profile import Named


class Secret(Named):
    """Only of a department: what all could use, all could take home. Nothing shows its value again."""

    ciphertext = models.TextField(editable=False, help_text="personas.services.secret_box")
    value_changed_at = models.DateTimeField(editable=False)

    class Meta(Named.Meta):
        constraints = unique_in_department("secret")

    def get_absolute_url(self):
        return reverse("personas:secret_detail", kwargs={"pk": self.pk})

    def clean(self):
        super().clean()
        if self.department_id is None:
            raise ValidationError({"department": ["A secret belongs to a department."]})
