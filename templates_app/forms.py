"""The forms of templates, and what a merge preview asks."""

from django import forms

from personas.forms.base import SettingsForm
from personas.forms.fields import LinesField, YamlField
from personas.forms.rows import PersonaForm
from personas.models import Department, Persona
from templates_app.models import MigrationTemplate

SETTINGS = [name for name in PersonaForm.Meta.fields if name not in ("hints", "list_modes")]


class TemplateForm(SettingsForm):
    locks = LinesField(
        label="Locks",
        help_text="One setting (resources.memory_mib) or group (network) a line: no persona or launch changes it.",
    )

    class Meta:
        model = MigrationTemplate
        fields = [*SETTINGS, "source_kind", "target_kind", "persona", "locks"]
        help_texts = {
            **PersonaForm.Meta.help_texts,
            "persona": "Used when a launch names none.",
            "source_kind": "Where machines come from.",
            "target_kind": "Where they go.",
        }

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        personas = Persona.objects.visible_to(self.user).active()
        if not self.instance._state.adding:
            personas = personas.filter(department=None) | personas.filter(department=self.instance.department)
        self.fields["persona"].queryset = personas
        self.fields["persona"].empty_label = "None"
        for name in ("kernel_modules", "packages"):
            self.fields[name].help_text = "One a line. A persona adds to them."

    SECTIONS = [
        ("Identity", "", ["department", "name", "description", "slug"]),
        (
            "Way",
            "Where from, where to, and for whom when nobody says otherwise.",
            ["source_kind", "target_kind", "persona"],
        ),
        (
            "Kernel and distribution",
            "",
            [
                "default_kernel_version",
                "default_kernel_intent",
                "default_distribution_name",
                "default_distribution_version",
                "default_distribution_intent",
            ],
        ),
        ("Drivers and software", "", ["default_driver_set", "kernel_modules", "packages"]),
        (
            "Machine",
            "",
            ["resource_allocation_profile", "disk_format", "disk_bus", "machine", "firmware"],
        ),
        ("Network", "", ["network_profile"]),
        (
            "After the move",
            "",
            [
                "post_migration_script",
                "script_entries",
                "script_timeout_s",
                "script_must_pass",
                "acceptance_checks",
            ],
        ),
        ("Monitoring", "", ["monitoring_tags"]),
        ("What others may change", "", ["locks", "unset"]),
    ]

    def sections(self):
        """[(title, help, bound fields)]; the department is asked for once only."""
        return [
            (title, told, [self[name] for name in names if name in self.fields])
            for title, told, names in self.SECTIONS
        ]


class MergeForm(forms.Form):
    """What a preview adds to the template besides personas."""

    department = forms.ModelChoiceField(
        Department.objects.none(), required=False, empty_label="No department's defaults", label="Defaults of"
    )
    overrides = YamlField(
        label="What if this launch asked for …",
        empty={},
        help_text="A settings document in YAML, as in: resources: {vcpus: 8}. null takes a setting away.",
    )
    only_changed = forms.BooleanField(required=False, label="Only what changes")

    def __init__(self, *args, user, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["department"].queryset = Department.objects.visible_to(user)
