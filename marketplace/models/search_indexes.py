"""PostgreSQL's indexes for the search of the catalogue; SQLite searches without."""

CREATE = [
    # trusted: the owner of a database may make it
    "CREATE EXTENSION IF NOT EXISTS pg_trgm",
    "CREATE INDEX marketplace_listing_words ON marketplace_listing USING gin (to_tsvector('simple', search_text))",
    "CREATE INDEX marketplace_listing_trigrams ON marketplace_listing USING gin (name gin_trgm_ops)",
]
DROP = ["DROP INDEX IF EXISTS marketplace_listing_words, marketplace_listing_trigrams"]


def create(apps, schema_editor):
    execute(schema_editor, CREATE)


def drop(apps, schema_editor):
    execute(schema_editor, DROP)


def execute(schema_editor, statements):
    if schema_editor.connection.vendor == "postgresql":
        for statement in statements:
            schema_editor.execute(statement)
