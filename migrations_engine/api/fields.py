"""Small shapes that several resources of this app share; what a plan holds is told here for the OpenAPI document."""

from rest_framework import serializers

from migrations_engine.domain.concerns import Severity
from migrations_engine.domain.states import STEPS, StepState
from migrations_engine.domain.verification import Verdict


class ConcernSerializer(serializers.Serializer):
    id = serializers.CharField(help_text="Stable, as `disk.would_shrink`.")
    category = serializers.CharField()
    severity = serializers.ChoiceField(choices=[(s.value, s.value) for s in Severity])
    text = serializers.CharField()
    action = serializers.CharField(help_text="What to do about it.")
    subject = serializers.CharField(help_text="The setting it is about, or empty.")


class ChangeSerializer(serializers.Serializer):
    setting = serializers.CharField()
    label = serializers.CharField()
    current = serializers.CharField()
    planned = serializers.CharField()
    changes = serializers.BooleanField()


class VerificationSerializer(serializers.Serializer):
    setting = serializers.CharField()
    asked = serializers.CharField()
    found = serializers.CharField()
    verdict = serializers.ChoiceField(choices=[(v.value, v.value) for v in Verdict])
    by = serializers.CharField(
        help_text="Who says so, or who enforces it: guest, hypervisor, scan, nobody, …"
    )


class NamedSerializer(serializers.Serializer):
    id = serializers.UUIDField()
    name = serializers.CharField()


class LiveSerializer(serializers.Serializer):
    name = serializers.CharField()
    stdout = serializers.CharField(help_text="The end of what it has written so far.")
    stderr = serializers.CharField()


class StepSerializer(serializers.Serializer):
    name = serializers.ChoiceField(choices=[(s.value, s.value) for s in STEPS])
    label = serializers.CharField()
    state = serializers.ChoiceField(choices=[(s.value, s.value) for s in StepState])
    attempt = serializers.IntegerField(help_text="How many workers began it since the last retry.")
    retries = serializers.IntegerField()
    percent = serializers.FloatField()
    message = serializers.CharField(help_text="What it does right now.")
    bytes_done = serializers.IntegerField()
    bytes_total = serializers.IntegerField()
    elapsed_s = serializers.FloatField(allow_null=True)
    eta_s = serializers.FloatField(allow_null=True)
    error = serializers.CharField()
    live = LiveSerializer(allow_null=True, help_text="The script that runs right now.")
