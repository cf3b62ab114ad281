"""An inventory file, and what became of it, as JSON."""

from rest_framework import serializers

from analyzer.domain.inventory import FORMATS


class InventoryFileSerializer(serializers.Serializer):
    file = serializers.FileField(
        help_text="RVTools .xlsx, Azure Migrate, AWS or our own CSV, Ansible facts (JSON)."
    )
    dry_run = serializers.BooleanField(default=False, help_text="Say what would be done, and do nothing.")
    complete = serializers.BooleanField(
        default=False, help_text="The file lists every machine of the source: mark the others as missing."
    )


class RowErrorSerializer(serializers.Serializer):
    row = serializers.IntegerField(help_text="As a spreadsheet counts: the header is 1.")
    field = serializers.CharField(allow_blank=True)
    message = serializers.CharField()


class InventoryReportSerializer(serializers.Serializer):
    format = serializers.ChoiceField(choices=sorted(FORMATS))
    found = serializers.IntegerField()
    added = serializers.IntegerField()
    changed = serializers.IntegerField()
    kept = serializers.IntegerField()
    missing = serializers.IntegerField()
    errors = RowErrorSerializer(many=True)
    left_out = RowErrorSerializer(
        many=True, help_text="Templates and placeholders: nothing is wrong with them."
    )
