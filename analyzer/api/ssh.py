"""Login to a source's running machines, and their host keys, as JSON. A secret goes in and never comes out."""

from rest_framework import serializers

from analyzer.domain.ssh_keys import MOST_HOSTS
from analyzer.models import SourceEndpoint, SshAccess, SshHost
from personas.api.base import KnownFields


class SshHostSerializer(serializers.ModelSerializer):
    address = serializers.CharField(source="__str__", read_only=True)
    state = serializers.ChoiceField(choices=["unknown", "new", "changed", "confirmed"], read_only=True)

    class Meta:
        model = SshHost
        fields = [
            "id", "address", "is_jump", "state", "pinned_fingerprint", "offered_fingerprint", "problem",
            "contacted_at", "confirmed_at",
        ]  # fmt: skip
        read_only_fields = fields


class SshAccessSerializer(KnownFields, serializers.Serializer):
    """What is said replaces what was; a secret that is left out stays as it is."""

    hosts = serializers.ListField(
        child=serializers.CharField(max_length=300),
        max_length=MOST_HOSTS,
        default=list,
        help_text="web1, 192.0.2.7, [2001:db8::1]:2222. Of a hypervisor left out: its connection URI says it.",
    )
    username = serializers.CharField(max_length=64)
    port = serializers.IntegerField(
        default=22, min_value=1, max_value=65535, help_text="Where a host names none."
    )
    private_key = serializers.CharField(write_only=True, default="", allow_blank=True, trim_whitespace=False)
    password = serializers.CharField(write_only=True, default="", allow_blank=True, trim_whitespace=False)
    use_sudo = serializers.BooleanField(default=False)
    jump_host = serializers.CharField(default="", allow_blank=True, max_length=300)


class SshStateSerializer(serializers.Serializer):
    """`username` is null as long as nobody has said how to log in."""

    username = serializers.CharField(allow_null=True)
    credential = serializers.ChoiceField(choices=SshAccess.Kind.choices, allow_null=True)
    use_sudo = serializers.BooleanField()
    hosts = SshHostSerializer(many=True)


class SshConfirmSerializer(KnownFields, serializers.Serializer):
    fingerprints = serializers.DictField(
        child=serializers.CharField(max_length=80),
        allow_empty=False,
        help_text="Host id → the fingerprint compared.",
    )


class SshConfirmedSerializer(serializers.Serializer):
    confirmed = serializers.IntegerField()


def ssh_state(source: SourceEndpoint) -> dict:
    access = SshAccess.objects.filter(source=source).first()
    told = {
        "username": access.username if access else None,
        "credential": access.credential_kind if access else None,
        "use_sudo": bool(access and access.use_sudo),
        "hosts": source.ssh_hosts.all(),
    }
    return SshStateSerializer(told).data
