from django.db import migrations, models

from analyzer.domain.usage_codec import LARGEST, packed

BATCH = 500


def pack(apps, schema_editor):
    series = apps.get_model("analyzer", "UsageSeries").objects
    batch = []
    for row in series.iterator(chunk_size=BATCH):
        row.packed = packed([None if each is None else min(each, LARGEST) for each in row.values])
        batch.append(row)
        if len(batch) == BATCH:
            series.bulk_update(batch, ["packed"])
            batch = []
    series.bulk_update(batch, ["packed"])


class Migration(migrations.Migration):
    dependencies = [("analyzer", "0003_inventory")]

    operations = [
        migrations.AddField("usageseries", "packed", models.BinaryField(default=b""), preserve_default=False),
        migrations.RunPython(pack, migrations.RunPython.noop, elidable=True),
        migrations.RemoveField("usageseries", "values"),
    ]
