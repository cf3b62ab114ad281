"""The forms of the app's own rows."""

from django import forms

from personas.forms.base import RowForm, SettingsForm
from personas.forms.fields import LinesField, PairsField, SecurityGroupsField, YamlField
from personas.models import (
    ApiToken,
    Department,
    DriverSet,
    NetworkProfile,
    Persona,
    ResourceProfile,
    Role,
    Script,
    Secret,
)
from personas.models.script import Interpreter
from personas.models.token import Scope
from personas.services.secrets import LONGEST

IDENTITY = ["department", "name", "description"]


class PersonaForm(SettingsForm):
    hints = LinesField(
        label="Hints",
        help_text="Names of packages and services, one a line, that make this persona the likely one for a machine.",
    )
    list_modes = PairsField(
        label="List modes",
        help_text="One a line. packages = replace: the persona's list instead of the template's. "
        "driver_set = extend: both sets.",
    )

    class Meta:
        model = Persona
        fields = [
            *IDENTITY,
            "slug",
            "hints",
            "default_kernel_version",
            "default_kernel_intent",
            "default_distribution_name",
            "default_distribution_version",
            "default_distribution_intent",
            "default_driver_set",
            "kernel_modules",
            "packages",
            "resource_allocation_profile",
            "disk_format",
            "disk_bus",
            "machine",
            "firmware",
            "network_profile",
            "post_migration_script",
            "script_entries",
            "script_timeout_s",
            "script_must_pass",
            "monitoring_tags",
            "acceptance_checks",
            "list_modes",
            "unset",
        ]
        help_texts = {
            "default_kernel_version": "As uname -r prints it (6.1.0-44-cloud-amd64), or a condition (>=6.1).",
            "default_kernel_intent": "Prefer: told if it differs. Require: stops the plan. Install: installed.",
            "default_distribution_name": "The ID of os-release, as in debian.",
            "default_distribution_version": "The VERSION_ID of os-release, as in 12.",
            "script_must_pass": "When it must, a non-zero exit fails the migration.",
            "disk_bus": "When a driver set is named, its device is what counts.",
        }


EXAMPLE_GROUPS = (
    "[web]\ntcp 80 from 0.0.0.0/0\ntcp 443 from 0.0.0.0/0\n\n[admin-ssh]\ntcp 22 from 10.0.0.0/8\nicmp"
)
EXAMPLE_DRIVERS = """- name: virtio-block
  kernel_modules: [virtio_blk]
  devices: {disk: virtio-blk-pci}
- name: virtio-network
  kernel_modules: [virtio_net]
  devices: {nic: virtio-net-pci}"""

EXAMPLE_PARAMETERS = """- {name: PORT, kind: integer, default: 5432}
- {name: TIER, kind: choice, choices: [small, large]}"""


def example(text: str) -> forms.Textarea:
    return forms.Textarea(attrs={"placeholder": text})


class DriverSetForm(RowForm):
    drivers = YamlField(
        empty=[],
        widget=example(EXAMPLE_DRIVERS),
        required=True,
        help_text="A YAML list; per driver: name, and any of version, kernel_modules, packages, devices "
        "(disk, nic, rng, balloon).",
    )
    distributions = LinesField(help_text="The ID of os-release, one a line; empty for any.")

    class Meta:
        model = DriverSet
        fields = [*IDENTITY, "drivers", "distributions", "slug"]


class ResourceProfileForm(RowForm):
    class Meta:
        model = ResourceProfile
        fields = [*IDENTITY, "vcpus", "memory_mib", "root_disk_gib", "slug"]
        help_texts = dict.fromkeys(["vcpus", "memory_mib", "root_disk_gib"], "Empty: not said.")


class NetworkProfileForm(RowForm):
    security_groups = SecurityGroupsField(
        label="Security groups",
        widget=example(EXAMPLE_GROUPS),
        help_text="A line [name] begins a group; below it one rule a line, as in tcp 5432 from 10.0.0.0/8, "
        "udp 8000-8100, icmp. "
        "What no rule lets in is dropped.",
    )

    class Meta:
        model = NetworkProfile
        fields = [*IDENTITY, "bandwidth_mbps", "addressing", "security_groups", "slug"]


class ScriptForm(RowForm):
    interpreter = forms.ChoiceField(
        choices=Interpreter.choices, help_text="Must be in the guest; sh always is."
    )
    body = forms.CharField(
        label="Text",
        widget=forms.Textarea,
        strip=False,
        max_length=256 * 1024,
        help_text="Runs as root in the guest, at most once per migration. Exit 0 is success; the last lines of "
        "stderr are shown when it fails.",
    )
    parameters = YamlField(
        empty=[],
        widget=example(EXAMPLE_PARAMETERS),
        help_text="A YAML list: name, and any of kind (string, integer, boolean, choice), default, choices, required, "
        "description. The script reads them as environment variables.",
    )

    class Meta:
        model = Script
        fields = [*IDENTITY, "interpreter", "body", "parameters", "slug"]

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if not self.instance._state.adding and (newest := self.instance.latest):
            self.initial |= {
                "interpreter": newest.interpreter,
                "body": newest.body,
                "parameters": newest.parameters,
            }


class SecretForm(RowForm):
    value = forms.CharField(
        widget=forms.Textarea(attrs={"autocomplete": "off", "spellcheck": "false", "rows": 3}),
        strip=False,
        max_length=LONGEST,
        help_text="At least 8 characters. Kept encrypted, never shown again, delivered to scripts in the guest only.",
    )

    class Meta:
        model = Secret
        fields = [*IDENTITY, "value", "slug"]

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if "department" in self.fields:
            self.fields["department"].required = True
            self.fields["department"].empty_label = "Choose one"
        if not self.instance._state.adding:
            self.fields["value"].required = False
            self.fields["value"].help_text = "Empty: the value that there is stays."

    def clean_value(self):
        return self.cleaned_data["value"].replace("\r\n", "\n")


class DepartmentForm(RowForm):
    defaults = YamlField(
        label="Default settings",
        empty={},
        help_text="A settings document in YAML, as in resources: {vcpus: 2}. It lies between the template and the "
        "persona.",
    )

    class Meta:
        model = Department
        fields = ["name", "slug", "defaults"]


class MemberForm(forms.Form):
    username = forms.CharField(max_length=150, help_text="As the person logs in.")
    role = forms.ChoiceField(
        choices=Role.choices, help_text="Viewer reads. Operator migrates. Admin changes personas and members."
    )


class TokenForm(forms.ModelForm):
    scopes = forms.MultipleChoiceField(
        choices=Scope.choices, widget=forms.CheckboxSelectMultiple, initial=[Scope.READ]
    )
    expires_at = forms.DateTimeField(
        label="Expires",
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}),
        help_text="UTC. Empty: never.",
    )

    class Meta:
        model = ApiToken
        fields = ["name", "scopes", "expires_at"]

    def told_refused(self, errors: dict[str, list[str]]) -> None:
        for field, told in errors.items():
            self.add_error(field if field in self.fields else None, told)


class CloneForm(forms.Form):
    name = forms.CharField(max_length=80)
    department = forms.ModelChoiceField(
        Department.objects.none(), required=False, help_text="Where the copy belongs."
    )

    def __init__(self, *args, row, user, **kwargs):
        super().__init__(*args, **kwargs)
        mine, field = Department.objects.administered_by(user), self.fields["department"]
        field.queryset, field.required = mine, not user.is_superuser
        field.empty_label = "The organisation, for all" if user.is_superuser else None
        self.initial |= {"name": f"{row.name} (copy)"[:80], "department": row.department or mine.first()}

    def told_refused(self, errors: dict[str, list[str]]) -> None:
        for field, told in errors.items():
            self.add_error(field if field in self.fields else None, told)
