"""A target that libvirt keeps, over the API: secrets go in and never come out."""

from rest_framework import serializers

from migrations_engine.models import Hypervisor, TargetEndpoint


class HypervisorSetSerializer(serializers.Serializer):
    address = serializers.CharField(
        max_length=500, help_text="`qemu+ssh://user@host/system`, or a socket of this machine."
    )
    pool = serializers.CharField(max_length=100, default="default", help_text="A storage pool of files.")
    network = serializers.CharField(
        max_length=100, default="", allow_blank=True, help_text="Empty: user-mode networking, with no way in."
    )
    private_key = serializers.CharField(
        max_length=20_000, default="", allow_blank=True, trim_whitespace=False, write_only=True
    )
    password = serializers.CharField(
        max_length=200, default="", allow_blank=True, trim_whitespace=False, write_only=True
    )


class HypervisorStateSerializer(serializers.Serializer):
    """All empty until somebody has said where it is."""

    address = serializers.CharField()
    pool = serializers.CharField()
    network = serializers.CharField()
    credential = serializers.CharField(help_text="key, password, or empty for a hypervisor of this machine.")
    host_key = serializers.CharField(help_text="Fingerprint of the confirmed key.")
    offered_host_key = serializers.CharField(help_text="Fingerprint of the key that it showed last.")
    accelerator = serializers.CharField(help_text="What a guest lived on when it was tried: kvm or tcg.")
    enforces = serializers.ListField(
        child=serializers.CharField(), help_text="What a trial saw enforced: bandwidth, filters."
    )
    missing = serializers.ListField(child=serializers.CharField())
    notes = serializers.ListField(child=serializers.CharField())
    tried_at = serializers.DateTimeField(allow_null=True)


class HostKeySerializer(serializers.Serializer):
    fingerprint = serializers.CharField(max_length=100, help_text="`SHA256:…`, as a person has compared it.")


def hypervisor_state(target: TargetEndpoint) -> dict:
    row = Hypervisor.objects.filter(target=target).first() or Hypervisor(target=target, pool="")
    names = ("address", "pool", "network", "accelerator", "enforces", "missing", "notes", "tried_at")
    keys = {"host_key": row.pinned_fingerprint, "offered_host_key": row.offered_fingerprint}
    return {name: getattr(row, name) for name in names} | {"credential": row.credential_kind} | keys
