"""A machine's right size as JSON: `/api/v1/machines/{id}/sizing/`."""

from rest_framework import serializers


class SizingWishSerializer(serializers.Serializer):
    """What to try instead of the standard: of both resources."""

    percentile = serializers.FloatField(
        required=False, min_value=50, max_value=99.9, help_text="Of the time."
    )
    headroom = serializers.FloatField(required=False, min_value=1, max_value=5, help_text="× the percentile.")
    window_days = serializers.IntegerField(required=False, min_value=7, max_value=400)
    deepest_cut = serializers.FloatField(
        required=False, min_value=0, max_value=1, help_text="Share that goes at once."
    )


class SizeSerializer(serializers.Serializer):
    """`refused` says why there is no size; then the others are null."""

    size = serializers.FloatField(allow_null=True)
    capacity = serializers.FloatField(allow_null=True, help_text="What the machine has today.")
    saving = serializers.FloatField(allow_null=True, help_text="1 − size ÷ capacity; below 0 it costs.")
    above_share = serializers.FloatField(
        allow_null=True, help_text="Share of the measured time above the size."
    )
    decided_by = serializers.CharField(allow_null=True, help_text="The wish that won.")
    because = serializers.CharField(allow_null=True)
    samples = serializers.IntegerField(allow_null=True)
    days = serializers.FloatField(allow_null=True)
    coverage = serializers.FloatField(allow_null=True)
    refused = serializers.CharField(allow_null=True)
    wishes = serializers.DictField(child=serializers.FloatField())


class SizingSerializer(serializers.Serializer):
    vcpus = SizeSerializer()
    memory_mib = SizeSerializer()
