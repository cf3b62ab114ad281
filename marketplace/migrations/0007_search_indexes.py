from django.db import migrations

INDEXES = [
    # trusted: the owner of a database may make it
    "CREATE EXTENSION IF NOT EXISTS pg_trgm",
    "CREATE INDEX marketplace_listing_words ON marketplace_listing USING gin (to_tsvector('simple', search_text))",
    "CREATE INDEX marketplace_listing_trigrams ON marketplace_listing USING gin (name gin_trgm_ops)",
]


def index(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        for statement in INDEXES:
            schema_editor.execute(statement)


def unindex(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP INDEX IF EXISTS marketplace_listing_words, marketplace_listing_trigrams")


class Migration(migrations.Migration):
    dependencies = [("marketplace", "0006_search")]

    operations = [migrations.RunPython(index, unindex)]
