"""The database itself refuses to change or delete an audit entry."""

from django.db import migrations

from personas.models import audit_trigger


class Migration(migrations.Migration):
    dependencies = [("personas", "0001_initial")]

    operations = [
        migrations.RunPython(
            lambda apps, editor: audit_trigger.install(editor.connection),
            lambda apps, editor: audit_trigger.remove(editor.connection),
        )
    ]
