"""Pages of personas."""

from django.http import HttpResponse
from django.utils.text import slugify

from personas.domain.drivers import parse_drivers, resolve
from personas.domain.labels import grouped
from personas.domain.yaml_text import dump_yaml
from personas.filters import PersonaFilter
from personas.forms.imports import PersonaImportForm
from personas.forms.rows import PersonaForm
from personas.models import Persona
from personas.services import personas
from personas.services.persona_document import persona_export, persona_import
from personas.services.revisions import beside_the_older, difference
from personas.views.base import (
    ArchivePage,
    AskPage,
    ClonePage,
    ConfirmPage,
    CreatePage,
    DetailPage,
    EditPage,
    ListPage,
    Page,
    RestorePage,
)


class Personas(Page):
    model, entity = Persona, "persona"


class PersonaList(Personas, ListPage):
    filterset_class = PersonaFilter
    defaults = {"archived": "false"}
    template_name = "personas/persona_list.html"

    def get_queryset(self):
        parts = (
            "department",
            "default_driver_set",
            "resource_allocation_profile",
            "network_profile",
            "post_migration_script",
        )
        return super().get_queryset().select_related(*parts)


class PersonaDetail(Personas, DetailPage):
    template_name = "personas/persona_detail.html"

    def get_context_data(self, **context):
        persona = self.object
        drivers = persona.default_driver_set
        return super().get_context_data(
            groups=grouped(persona.document()),
            resolved=resolve(parse_drivers(drivers.drivers)) if drivers else None,
            revisions=revisions_with_changes(persona),
            script=persona.post_migration_script and persona.post_migration_script.latest,
            **context,
        )


def revisions_with_changes(row) -> list[dict]:
    """[{"revision", "changes"}], the newest first; the changes are those against the revision before."""
    rows = list(row.revisions.select_related("created_by")[:50])
    return [
        {"revision": rev, "changes": difference(before.document, rev.document) if before else None}
        for rev, before in beside_the_older(rows)
    ]


class PersonaCreate(Personas, CreatePage):
    form_class = PersonaForm
    template_name = "personas/persona_form.html"

    def save(self, form):
        return personas.persona_create(by=self.request.user, **form.values())


class PersonaEdit(Personas, EditPage):
    form_class = PersonaForm
    template_name = "personas/persona_form.html"

    def save(self, form):
        version = form.cleaned_data["version"]
        return personas.persona_update(
            persona=self.object, by=self.request.user, expected=version, **form.values()
        )


class PersonaClone(Personas, ClonePage):
    def save(self, form):
        return personas.persona_clone(persona=self.object, by=self.request.user, **form.cleaned_data)


class PersonaDelete(Personas, ConfirmPage):
    archives = True


class PersonaArchive(Personas, ArchivePage):
    pass


class PersonaRestore(Personas, RestorePage):
    pass


class PersonaDocument(Personas, DetailPage):
    """The persona as a YAML file that the import page takes."""

    def render_to_response(self, context, **kwargs):
        name = slugify(self.object.slug)
        return HttpResponse(
            dump_yaml(persona_export(self.object)),
            content_type="application/yaml",
            headers={"Content-Disposition": f'attachment; filename="{name}.yaml"'},
        )


class PersonaImport(Personas, AskPage):
    form_class = PersonaImportForm
    template_name = "personas/persona_import.html"

    def get_context_data(self, **context):
        return super().get_context_data(submit_label="Import", **context)

    def save(self, form):
        department = form.cleaned_data["department"]
        return persona_import(data=form.cleaned_data["document"], by=self.request.user, department=department)

    def success_message(self, row):
        return f"Imported “{row}”."
