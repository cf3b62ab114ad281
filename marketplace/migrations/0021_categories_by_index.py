from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('marketplace', '0020_installations_give_parameters'),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name='listing',
            name='listings_seen',
        ),
        migrations.AddIndex(
            model_name='listing',
            index=models.Index(fields=['publisher', 'visibility'], include=('category', 'licence', 'distribution'), name='listings_seen'),
        ),
    ]
