"""Where machines go."""

from django.core.validators import RegexValidator
from django.db import models

from analyzer.domain.libvirt_address import LibvirtAddress, parse_libvirt_address
from analyzer.domain.ssh_keys import fingerprint
from personas.models.owned import Owned, OwnedQuerySet, unique_in_department

QEMU, LIBVIRT = "qemu", "libvirt"
KINDS = [(QEMU, "This machine (QEMU)"), (LIBVIRT, "A hypervisor (libvirt)")]
NAME_AT_LIBVIRT = RegexValidator(r"^[A-Za-z0-9_][A-Za-z0-9_.+-]*$", "Letters, digits and _ . + - only.")


class TargetEndpoint(Owned):
    name = models.CharField(max_length=80)
    kind = models.CharField(max_length=16, default=QEMU, choices=KINDS)

    class Meta:
        ordering = ["name"]
        constraints = unique_in_department("targetendpoint", "name")

    def __str__(self):
        return self.name

    @property
    def is_libvirt(self) -> bool:
        return self.kind == LIBVIRT


class OfTargetQuerySet(OwnedQuerySet):
    department_path = "target__department"


class Hypervisor(models.Model):
    """How a target that libvirt keeps is reached. `credential` is a private key or a password as ciphertext
    (personas.services.secret_box); nothing shows it again.

    A machine elsewhere is entered only with `pinned_key`; `offered_key` is what it showed last, for a person to
    compare.
    From `accelerator` on: what a trial found; empty until somebody has checked the connection.
    """

    target = models.OneToOneField(TargetEndpoint, models.CASCADE, related_name="hypervisor")
    address = models.CharField("connection URI", max_length=500)
    pool = models.CharField(
        "storage pool", max_length=100, default="default", validators=[NAME_AT_LIBVIRT]
    )
    network = models.CharField(max_length=100, blank=True, validators=[NAME_AT_LIBVIRT])
    credential_kind = models.CharField(
        max_length=8, blank=True, choices=[("key", "Private key"), ("password", "Password")]
    )
    credential = models.TextField(editable=False, blank=True)
    pinned_key = models.TextField(blank=True)
    offered_key = models.TextField(blank=True)
    accelerator = models.CharField(max_length=8, blank=True)
    enforces = models.JSONField(default=list, blank=True)
    missing = models.JSONField(default=list, blank=True)
    notes = models.JSONField(default=list, blank=True)
    tried_at = models.DateTimeField(null=True, blank=True)

    objects = OfTargetQuerySet.as_manager()

    def __str__(self):
        return f"{self.address} of {self.target}"

    @property
    def department(self):
        return self.target.department

    @property
    def parsed(self) -> LibvirtAddress:
        return parse_libvirt_address(self.address)

    @property
    def is_remote(self) -> bool:
        return self.parsed.is_remote

    @property
    def pinned_fingerprint(self) -> str:
        return fingerprint(self.pinned_key)

    @property
    def offered_fingerprint(self) -> str:
        return fingerprint(self.offered_key)

    @property
    def is_to_be_confirmed(self) -> bool:
        """It shows a key that nobody has confirmed."""
        return bool(self.offered_key) and self.offered_key != self.pinned_key
