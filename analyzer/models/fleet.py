"""The estate as a whole: what the software of each machine says in short, and the personas that groups suggest."""

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.urls import reverse

from personas.models.owned import Owned, OwnedQuerySet

SURE = 0.6  # chance from which the software of a machine contradicts the persona that it carries


class FingerprintQuerySet(OwnedQuerySet):
    department_path = "vm__department"

    def homeless(self):
        """Machines that nothing fits, as far as is known, and that carry nothing."""
        return self.filter(persona__isnull=True, vm__vm_personas__isnull=True, vm__missing_since__isnull=True)

    def outgrown(self):
        """Machines whose software says another persona than any of those they carry."""
        carried = Q(vm__vm_personas__persona=F("persona"))
        rows = self.filter(persona__isnull=False, score__gte=SURE, vm__vm_personas__isnull=False)
        return rows.exclude(pk__in=self.filter(carried).values("pk")).distinct()


class Fingerprint(models.Model):
    """What of the newest scan the recommender needs, so that 100,000 machines are scored without reading their facts.

    `evidence`: trade → weight; `names`: head → 0..1; `unexplained`: heads asked for that mean nothing to us; `system`:
    os-release's {"id", "version", "like"}. `scored_as` names the learning and the personas that the score is by;
    `cell_x`, `cell_y`: its place on the map of the estate.
    """

    vm = models.OneToOneField(
        "analyzer.VirtualMachine", models.CASCADE, primary_key=True, related_name="fingerprint"
    )
    scan = models.ForeignKey("analyzer.Scan", models.CASCADE, related_name="+")
    evidence = models.JSONField(default=dict)
    names = models.JSONField(default=dict)
    unexplained = models.JSONField(default=list)
    system = models.JSONField(default=dict)
    kind = models.CharField(max_length=40, blank=True, db_index=True)
    cell_x = models.PositiveSmallIntegerField(default=0)
    cell_y = models.PositiveSmallIntegerField(default=0)
    persona = models.ForeignKey("personas.Persona", models.SET_NULL, null=True, related_name="+")
    score = models.FloatField(default=0)
    no_fit = models.FloatField(default=0)
    scored_as = models.CharField(max_length=64, blank=True, db_index=True)
    stale = models.BooleanField(default=False, db_index=True, help_text="A name on it has another meaning now.")
    updated_at = models.DateTimeField(auto_now=True)

    objects = FingerprintQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["cell_x", "cell_y", "persona"], name="fingerprint_cell")]

    def __str__(self):
        return f"fingerprint of {self.vm}"


class EstateCell(models.Model):
    """Machines of one place on the map, as the clock counted them at `counted_at` (estate_count): all that a count of
    100,000 machines is good for in one glance. Only the newest count is read."""

    department = models.ForeignKey("personas.Department", models.CASCADE, null=True, related_name="+")
    cell_x = models.PositiveSmallIntegerField()
    cell_y = models.PositiveSmallIntegerField()
    kind = models.CharField(max_length=40, blank=True)
    persona = models.ForeignKey("personas.Persona", models.SET_NULL, null=True, related_name="+")
    count = models.PositiveIntegerField()
    vcpus = models.PositiveBigIntegerField()
    memory_mib = models.PositiveBigIntegerField()
    counted_at = models.DateTimeField(db_index=True)

    objects = OwnedQuerySet.as_manager()

    def __str__(self):
        return f"{self.count} machines at {self.cell_x}-{self.cell_y}"


class DraftState(models.TextChoices):
    OPEN = "open", "Open"
    APPROVED = "approved", "Approved"
    DISMISSED = "dismissed", "Dismissed"


class PersonaDraft(Owned):
    """A persona that a group of machines suggests. `key` is the group's, stable from run to run; `document` is what
    persona_import takes; `like` the persona that says nearly the same already."""

    key = models.CharField(max_length=120, editable=False)
    document = models.JSONField()
    state = models.CharField(max_length=10, choices=DraftState, default=DraftState.OPEN)
    members = models.ManyToManyField("analyzer.VirtualMachine", related_name="drafts")
    member_count = models.PositiveIntegerField(default=0)
    common = models.JSONField(default=list, help_text="[[software, share of the members that have it]]")
    like = models.ForeignKey("personas.Persona", models.SET_NULL, null=True, related_name="+")
    likeness = models.FloatField(default=0)
    persona = models.ForeignKey("personas.Persona", models.SET_NULL, null=True, related_name="+")
    answered_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")

    class Meta:
        ordering = ["-member_count", "key"]
        constraints = [
            models.UniqueConstraint(fields=["department", "key"], name="one_draft_per_kind"),
            models.UniqueConstraint(
                fields=["key"],
                condition=Q(department__isnull=True),
                name="one_draft_per_kind_in_organisation",
            ),
        ]

    def __str__(self):
        return self.document.get("name", self.key)

    def get_absolute_url(self):
        return reverse("analyzer:draft_detail", args=[self.pk])
