"""Personas, their parts and their revisions."""

from django.contrib import admin

from personas.admin.base import BY_DEPARTMENT, ReadOnlyAdmin, RowAdmin
from personas.forms.rows import (
    DriverSetForm,
    NetworkProfileForm,
    PersonaForm,
    ResourceProfileForm,
    ScriptForm,
    SecretForm,
)
from personas.models import (
    DriverSet,
    NetworkProfile,
    Persona,
    PersonaRevision,
    ResourceProfile,
    Script,
    ScriptRevision,
    Secret,
)
from personas.services import parts, personas, scripts, secrets


@admin.register(Persona)
class PersonaAdmin(RowAdmin):
    form = PersonaForm
    list_filter = [BY_DEPARTMENT, ("default_driver_set", admin.RelatedOnlyFieldListFilter)]

    def create(self, **fields):
        return personas.persona_create(**fields)

    def change(self, persona, **fields):
        return personas.persona_update(persona=persona, **fields)


class PartAdmin(RowAdmin):
    def create(self, **fields):
        return parts.part_create(model=self.model, **fields)

    def change(self, part, **fields):
        return parts.part_update(part=part, **fields)


@admin.register(DriverSet)
class DriverSetAdmin(PartAdmin):
    form = DriverSetForm


@admin.register(ResourceProfile)
class ResourceProfileAdmin(PartAdmin):
    form = ResourceProfileForm
    list_display = ["name", "vcpus", "memory_mib", "root_disk_gib", "department"]


@admin.register(NetworkProfile)
class NetworkProfileAdmin(PartAdmin):
    form = NetworkProfileForm


@admin.register(Script)
class ScriptAdmin(RowAdmin):
    form = ScriptForm

    def create(self, **fields):
        return scripts.script_create(**fields)

    def change(self, script, **fields):
        return scripts.script_update(script=script, **fields)


@admin.register(Secret)
class SecretAdmin(RowAdmin):
    form = SecretForm
    list_display = ["name", "slug", "department", "value_changed_at"]

    def create(self, **fields):
        return secrets.secret_create(**fields)

    def change(self, secret, **fields):
        return secrets.secret_update(secret=secret, **fields)


class RevisionAdmin(ReadOnlyAdmin):
    """Revisions of what the reader sees. `parent` is the foreign key."""

    parent = ""
    list_display = ["__str__", "number", "sha256", "created_by", "created_at"]

    def get_queryset(self, request):
        related = self.model._meta.get_field(self.parent).related_model
        return self.model.objects.filter(**{f"{self.parent}__in": related.objects.visible_to(request.user)})


@admin.register(PersonaRevision)
class PersonaRevisionAdmin(RevisionAdmin):
    parent = "persona"


@admin.register(ScriptRevision)
class ScriptRevisionAdmin(RevisionAdmin):
    parent = "script"
