"""Running machines that are reached over SSH: how to log in, and whom we know by which key."""

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models

from analyzer.domain.ssh_keys import address, fingerprint
from personas.models.owned import OwnedQuerySet

PORT = [MinValueValidator(1), MaxValueValidator(65535)]


class OfSourceQuerySet(OwnedQuerySet):
    department_path = "source__department"


class SshAccess(models.Model):
    """One login for all machines of a source. `credential` is a private key or a password as ciphertext
    (personas.services.secret_box); nothing shows it again."""

    class Kind(models.TextChoices):
        KEY = "key", "Private key"
        PASSWORD = "password", "Password"

    source = models.OneToOneField("analyzer.SourceEndpoint", models.CASCADE, related_name="ssh")
    username = models.CharField(
        max_length=64,
        validators=[RegexValidator(r"^[A-Za-z0-9_][A-Za-z0-9_.@-]*\$?$", "This is no user name.")],
    )
    credential_kind = models.CharField(max_length=8, choices=Kind)
    credential = models.TextField(editable=False)
    use_sudo = models.BooleanField(default=False)

    objects = OfSourceQuerySet.as_manager()

    class Meta:
        verbose_name = "SSH login"

    def __str__(self):
        return f"{self.username} at {self.source}"

    @property
    def department(self):
        return self.source.department


class SshHost(models.Model):
    """A machine's door. It is entered only with `pinned_key`; `offered_key` is what it showed last, for a person to
    compare and confirm. `problem`: why the last contact failed; empty when it answered."""

    source = models.ForeignKey("analyzer.SourceEndpoint", models.CASCADE, related_name="ssh_hosts")
    host = models.CharField(max_length=253)
    port = models.PositiveIntegerField(default=22, validators=PORT)
    is_jump = models.BooleanField(
        default=False, help_text="The way to the others, itself no machine of the source."
    )
    pinned_key = models.TextField(blank=True)
    offered_key = models.TextField(blank=True)
    problem = models.CharField(max_length=500, blank=True)
    contacted_at = models.DateTimeField(null=True)
    confirmed_at = models.DateTimeField(null=True)
    confirmed_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")

    objects = OfSourceQuerySet.as_manager()

    class Meta:
        ordering = ["-is_jump", "host", "port"]
        constraints = [
            models.UniqueConstraint(fields=["source", "host", "port", "is_jump"], name="one_door_per_address")
        ]

    def __str__(self):
        return address(self.host, self.port)

    @property
    def pinned_fingerprint(self) -> str:
        return fingerprint(self.pinned_key)

    @property
    def offered_fingerprint(self) -> str:
        return fingerprint(self.offered_key)

    @property
    def state(self) -> str:
        """ "unknown" (never answered), "new" (to be confirmed), "changed" (shows another key), "confirmed"."""
        if not self.pinned_key:
            return "new" if self.offered_key else "unknown"
        return "changed" if self.offered_key and self.offered_key != self.pinned_key else "confirmed"
