"""What those who run a persona have to know, told by whoever watches over it: an app above writes it, the plan reads
it."""

from django.db import models


class PersonaNotice(models.Model):
    """`source` says who keeps it up to date, as in `marketplace.takedown`: one notice each. One that `blocks` refuses
    new runs; runs that have started go on."""

    persona = models.ForeignKey("personas.Persona", models.CASCADE, related_name="notices")
    source = models.CharField(max_length=64)
    blocks = models.BooleanField(default=False)
    text = models.CharField(max_length=400)
    action = models.CharField(max_length=400, blank=True, help_text="What can be done about it.")
    since = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-blocks", "source"]
        constraints = [
            models.UniqueConstraint(fields=["persona", "source"], name="one_notice_per_persona_and_source")
        ]

    def __str__(self):
        return self.text
