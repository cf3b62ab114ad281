"""Pages of templates."""

from django.core.exceptions import PermissionDenied
from django.http import HttpResponse

from personas.domain.labels import grouped
from personas.domain.yaml_text import dump_yaml
from personas.forms.imports import PersonaImportForm
from personas.views.base import (
    ArchivePage,
    ClonePage,
    ConfirmPage,
    CreatePage,
    DetailPage,
    EditPage,
    FormPage,
    ListPage,
    Page,
    RestorePage,
)
from personas.views.personas import revisions_with_changes
from templates_app.filters import TemplateFilter
from templates_app.forms import TemplateForm
from templates_app.models import MigrationTemplate
from templates_app.services import templates
from templates_app.services.template_document import template_export, template_import


class Templates(Page):
    model, entity, app = MigrationTemplate, "template", "templates_app"

    def words(self) -> str:
        return "template"


class TemplateList(Templates, ListPage):
    filterset_class = TemplateFilter
    defaults = {"archived": "false"}
    template_name = "templates_app/template_list.html"

    def get_queryset(self):
        return super().get_queryset().select_related("department", "persona", "default_driver_set")


class TemplateDetail(Templates, DetailPage):
    template_name = "templates_app/template_detail.html"

    def get_context_data(self, **context):
        document = self.object.document()
        locks = document.pop("locks", [])
        return super().get_context_data(
            groups=grouped(document), locks=locks, revisions=revisions_with_changes(self.object), **context
        )


class TemplateCreate(Templates, CreatePage):
    form_class = TemplateForm
    template_name = "templates_app/template_form.html"

    def save(self, form):
        return templates.template_create(by=self.request.user, **form.values())


class TemplateEdit(Templates, EditPage):
    form_class = TemplateForm
    template_name = "templates_app/template_form.html"

    def save(self, form):
        version = form.cleaned_data["version"]
        return templates.template_update(
            template=self.object, by=self.request.user, expected=version, **form.values()
        )


class TemplateClone(Templates, ClonePage):
    def save(self, form):
        return templates.template_clone(template=self.object, by=self.request.user, **form.cleaned_data)


class TemplateDelete(Templates, ConfirmPage):
    archives = True


class TemplateArchive(Templates, ArchivePage):
    pass


class TemplateRestore(Templates, RestorePage):
    pass


class TemplateDocument(Templates, DetailPage):
    """The template as a YAML file that the import and `manage.py merge` take."""

    def render_to_response(self, context, **kwargs):
        return HttpResponse(
            dump_yaml(template_export(self.object)),
            content_type="application/yaml",
            headers={"Content-Disposition": f'attachment; filename="{self.object.slug}.yaml"'},
        )


class TemplateImport(Templates, FormPage):
    """Asks for the same two things as the import of a persona."""

    form_class = PersonaImportForm
    template_name = "templates_app/template_import.html"

    def dispatch(self, request, *args, **kwargs):
        if request.user.is_authenticated and not self.may_create():
            raise PermissionDenied("Only an admin of a department imports a template.")
        return super().dispatch(request, *args, **kwargs)

    def get_form_kwargs(self):
        return {**super().get_form_kwargs(), "user": self.request.user}

    def get_context_data(self, **context):
        return super().get_context_data(cancel_url=self.url("list"), submit_label="Import", **context)

    def save(self, form):
        department = form.cleaned_data["department"]
        return template_import(
            data=form.cleaned_data["document"], by=self.request.user, department=department
        )

    def success_message(self, row):
        return f"Imported “{row}”."
