"""Templates in the admin, over the same services as the pages."""

from django.contrib import admin

from personas.admin.base import RowAdmin
from templates_app.forms import TemplateForm
from templates_app.models import MigrationTemplate
from templates_app.services import templates


@admin.register(MigrationTemplate)
class MigrationTemplateAdmin(RowAdmin):
    form = TemplateForm
    list_display = ["name", "persona", "department", "source_kind", "target_kind", "updated_at"]

    def create(self, **fields):
        return templates.template_create(**fields)

    def change(self, template, **fields):
        return templates.template_update(template=template, **fields)
