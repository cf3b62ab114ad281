from django.db import migrations

from marketplace.models import search_indexes


class Migration(migrations.Migration):
    dependencies = [("marketplace", "0006_search")]

    operations = [migrations.RunPython(search_indexes.create, search_indexes.drop)]
