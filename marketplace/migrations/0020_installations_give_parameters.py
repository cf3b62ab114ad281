from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('marketplace', '0019_installations_give_secrets'),
    ]

    operations = [
        migrations.AddField(
            model_name='installation',
            name='parameters',
            field=models.JSONField(blank=True, default=dict, help_text='What its publisher left open and the department has given: script in the release.VARIABLE → value.'),
        ),
    ]
