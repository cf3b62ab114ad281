"""What every form of a tenant's row does: offers what the user may choose, and notices that someone was faster."""

from django import forms
from django.utils.timesince import timesince

from personas.forms.fields import LinesField, PairsField, YamlField
from personas.models import AuditEntry, Department
from personas.models.settings_columns import PARTS
from personas.services.rows import version_of


class RowForm(forms.ModelForm):
    """A form of a row with a department. `version` travels hidden; the service compares it (`expected=`)."""

    version = forms.CharField(widget=forms.HiddenInput, required=False)

    def __init__(self, *args, user, **kwargs):
        super().__init__(*args, **kwargs)
        self.user = user
        self.fields["version"].initial = "" if self.instance._state.adding else version_of(self.instance)
        for field in self.fields.values():
            if isinstance(field, forms.TypedChoiceField) and field.choices and field.choices[0][0] == "":
                field.choices = [("", "Not said"), *field.choices[1:]]
        if "department" in self.fields:
            self._offer_departments()

    def _offer_departments(self):
        field, mine = self.fields["department"], Department.objects.administered_by(self.user)
        if not self.instance._state.adding:
            del self.fields["department"]  # a row never moves; the page shows where it is
            return
        field.queryset = mine
        field.empty_label = "The organisation, for all" if self.user.is_superuser else None
        field.required = not self.user.is_superuser
        field.help_text = "Whose it is: its members see it, its admins change it."
        if not self.user.is_superuser:
            self.initial.setdefault("department", mine.first())

    def values(self) -> dict:
        """What the service takes: the columns, without the form's own fields."""
        return {name: value for name, value in self.cleaned_data.items() if name != "version"}

    def told_stale(self) -> None:
        """What was typed stays, and saving once more overwrites: on purpose now."""
        newest = AuditEntry.objects.filter(object_id=str(self.instance.pk)).order_by("-at").first()
        told = "Someone has changed it since you opened it."
        if newest:
            changed = ", ".join(newest.after or {}) or newest.action
            told = f"{newest.actor_name} has changed it {timesince(newest.at)} ago ({changed})."
        self.add_error(
            None, f"{told} What you typed is still here: look at it again, then save to overwrite."
        )
        fresh = type(self.instance)._base_manager.get(pk=self.instance.pk)
        self.data = self.data.copy()
        self.data[self.add_prefix("version")] = version_of(fresh)

    def told_refused(self, errors: dict[str, list[str]]) -> None:
        """Errors of a service, beside their fields where the form has them."""
        for field, told in errors.items():
            self.add_error(field if field in self.fields else None, told)


class SettingsForm(RowForm):
    """A form of a row with SettingsColumns: persona here, template above."""

    kernel_modules = LinesField(label="Kernel modules", help_text="One a line. Added to the template's.")
    packages = LinesField(label="Packages", help_text="One a line. Added to the template's.")
    monitoring_tags = PairsField(
        label="Monitoring tags",
        help_text="One key = value a line. -key takes away a tag that a lower layer sets.",
    )
    script_entries = YamlField(
        label="Further scripts",
        empty=[],
        help_text="A YAML list, as in: - {name: tune-postgresql, phase: after_checks, parameters: {PORT: 5432}, "
        "secrets: {PGPASSWORD: db-password}}. Any of phase (first_boot, after_network, after_checks), order, "
        "os: [debian], timeout_s, retries. They run after the script above.",
    )
    acceptance_checks = YamlField(
        label="Acceptance checks",
        empty=[],
        help_text="A YAML list, as in: - {kind: tcp, port: 5432}, - {kind: http, port: 80, path: /, text: Welcome}, "
        "- {kind: systemd_unit, unit: nginx.service}, - {kind: mount, path: /srv}, - {kind: package, package: nginx}, "
        "- {kind: command, command: pg_isready, exit_code: 0}, - {kind: boot_time, at_most_s: 120}. "
        "With must_pass: false a check is advisory.",
    )
    unset = LinesField(
        label="Un-said settings",
        help_text="One setting a line, as in resources.vcpus: what a lower layer says of it is dropped.",
    )

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        for name in PARTS:
            model = self._meta.model._meta.get_field(name).related_model
            rows = model.objects.visible_to(self.user).select_related("department")
            if not self.instance._state.adding:
                rows = rows.filter(department=None) | rows.filter(department=self.instance.department)
            self.fields[name].queryset = rows
            self.fields[name].empty_label = "Not said"
            self.fields[name].label_from_instance = _told_with_department


def _told_with_department(row) -> str:
    return f"{row.name} ({row.department.name if row.department else 'organisation'})"
