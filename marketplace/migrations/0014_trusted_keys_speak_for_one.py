from django.db import migrations, models


def pin(apps, schema_editor):
    """A key that has let files in speaks from now on for whom the first of them was of."""
    signatures = apps.get_model('marketplace', 'ReleaseSignature').objects.order_by('signed_at')
    of_files = signatures.filter(release__listing__publisher__catalogue__url='')
    for key in apps.get_model('marketplace', 'TrustedKey').objects.all():
        first = of_files.filter(public_key=key.public_key).first()
        if first:
            key.publisher = first.release.listing.publisher.remote_slug
            key.save(update_fields=['publisher'])


class Migration(migrations.Migration):

    dependencies = [
        ('marketplace', "0013_facets_by_index"),
    ]

    operations = [
        migrations.AddField(
            model_name='trustedkey',
            name='publisher',
            field=models.SlugField(
                blank=True,
                help_text='Whose bundles it signs, by the first half of their address; empty: that of its first file.',
                max_length=63,
            ),
        ),
        migrations.RunPython(pin, migrations.RunPython.noop),
    ]
