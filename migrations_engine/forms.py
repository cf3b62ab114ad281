"""Forms of this app's pages; services check and write."""

from django import forms
from django.conf import settings
from django.db import models

from analyzer.models import VirtualMachine
from migrations_engine.domain.terms import LONGEST_MINUTES, TermsError, terms_of
from migrations_engine.domain.webhooks import ListenerKind
from migrations_engine.models import TargetEndpoint, Wave, Webhook
from migrations_engine.models.run import COMMITS, DRILLS, MODES, ON_ROLLBACK
from migrations_engine.models.webhook import EVENTS
from migrations_engine.services.waves import COLUMNS as WAVE_COLUMNS
from personas.domain.yaml_text import UnreadableYaml, load_yaml
from personas.models import Department, Persona, Role
from personas.services.access import allows
from templates_app.models import MigrationTemplate

MAX_OVERRIDES = 20_000


def settings_document(text: str) -> dict:
    try:
        document = load_yaml(text) if text.strip() else {}
    except UnreadableYaml as error:
        raise forms.ValidationError(f"This is no YAML: {error}") from error
    if not isinstance(document, dict):
        raise forms.ValidationError("Write settings as `name: value`.")
    return document


class TargetForm(forms.ModelForm):
    class Meta:
        model = TargetEndpoint
        fields = ["name", "kind", "department"]

    def __init__(self, *args, by, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["department"].queryset = Department.objects.administered_by(by)
        self.fields["department"].required = not by.is_superuser
        self.fields["department"].empty_label = "The organisation" if by.is_superuser else None
        if self.instance.pk and not self.instance._state.adding:
            del self.fields["kind"], self.fields["department"]


class HypervisorForm(forms.Form):
    address = forms.CharField(
        max_length=500,
        label="Connection URI",
        help_text="For example qemu+ssh://user@host/system; of this machine qemu:///system, or a socket.",
    )
    pool = forms.CharField(
        max_length=100,
        initial="default",
        label="Storage pool",
        help_text="Disks are uploaded to it. A pool of files: of type dir, fs or netfs.",
    )
    network = forms.CharField(
        max_length=100,
        required=False,
        help_text="A libvirt network for the machine's card. Empty: user-mode networking, with no way in.",
    )
    private_key = forms.CharField(
        required=False,
        max_length=20_000,
        strip=False,
        label="Private key",
        widget=forms.Textarea(attrs={"rows": 6, "spellcheck": "false", "autocomplete": "off"}),
        help_text="For a hypervisor elsewhere: without a passphrase. It is kept encrypted and never shown again.",
    )
    password = forms.CharField(
        required=False,
        max_length=200,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="Instead of a private key.",
    )

    def __init__(self, *args, has_secret: bool, **kwargs):
        super().__init__(*args, **kwargs)
        if has_secret:
            for name in ("private_key", "password"):
                self.fields[name].help_text += " Empty: the one that is kept stays."

    def told_refused(self, errors: dict[str, list[str]]) -> None:
        for name, told in errors.items():
            self.add_error(name if name in self.fields else None, told)


class LaunchForm(forms.Form):
    """The last page of the wizard: where to, and what is different this time."""

    target = forms.ModelChoiceField(queryset=TargetEndpoint.objects.none(), empty_label=None)
    overrides = forms.CharField(
        required=False,
        max_length=MAX_OVERRIDES,
        widget=forms.Textarea(attrs={"rows": 5, "spellcheck": "false"}),
        label="Different this time",
        help_text="A settings document in YAML, as in “resources: {memory_mib: 2048}”. It beats every layer.",
    )
    mode = forms.ChoiceField(
        choices=MODES,
        required=False,
        label="Kind",
        help_text="A cutover shuts a running machine down and copies it. A warm one has copied it before, and then "
        "reads only what changed. A test is discarded in the end.",
    )
    commit = forms.ChoiceField(choices=COMMITS, required=False, help_text="Who says that the machine stays.")
    confirm_minutes = forms.IntegerField(
        required=False, min_value=1, max_value=LONGEST_MINUTES, label="Minutes to confirm it in"
    )
    checks_confirm = forms.BooleanField(required=False, label="Acceptance checks that all pass confirm it")
    on_rollback = forms.ChoiceField(choices=ON_ROLLBACK, required=False, label="On a rollback")
    shutdown_minutes = forms.IntegerField(
        required=False, min_value=1, max_value=LONGEST_MINUTES, label="Minutes for its source to shut down",
        help_text="Of a cutover. Empty: the limit of this installation.",
    )  # fmt: skip
    decide_minutes = forms.IntegerField(
        required=False, min_value=1, max_value=LONGEST_MINUTES, label="Minutes to decide when it does not",
        help_text="Then the run is cancelled and the source goes on.",
    )  # fmt: skip
    drill = forms.ChoiceField(
        choices=[("", "None"), *DRILLS],
        required=False,
        label="Drill: a fault to simulate",
        help_text="In a test migration; a refused shutdown in a cutover. It is labelled on the run and its receipt.",
    )
    plan_sha256 = forms.RegexField("^[0-9a-f]{64}$", required=False, widget=forms.HiddenInput)
    launch_key = forms.UUIDField(
        required=False, widget=forms.HiddenInput
    )  # a button pressed twice starts one run

    def __init__(self, *args, by, department, **kwargs):
        super().__init__(*args, **kwargs)
        usable = models.Q(department=department) | models.Q(department__isnull=True)
        self.fields["target"].queryset = TargetEndpoint.objects.visible_to(by).filter(usable)
        if not allows(by=by, department=department, role=Role.ADMIN):
            del self.fields["drill"]

    def clean(self):
        cleaned = super().clean()
        try:
            cleaned["terms"] = terms_of(cleaned)
        except TermsError as error:
            self.add_error(error.field, str(error))
        return cleaned

    def clean_overrides(self) -> dict:
        return settings_document(self.cleaned_data["overrides"])


class WaveForm(forms.ModelForm):
    class Meta:
        model = Wave
        fields = ["department", *WAVE_COLUMNS]
        labels = {
            "after": "Comes after",
            "commit": "Commit",
            "confirm_minutes": "Minutes to confirm it in",
            "checks_confirm": "Acceptance checks that all pass confirm it",
            "on_rollback": "On a rollback",
            "mode": "Kind",
            "concurrency": "Runs at once",
            "per_source": "At once from one source",
            "per_target": "At once to one target",
            "bandwidth_mbps": "Network budget (Mbit/s)",
            "stop_after": "Stop after failures",
            "minutes_each": "Minutes for each machine",
            "needs_approval": "Needs approval before it starts",
        }
        widgets = {"description": forms.Textarea(attrs={"rows": 2})}

    def __init__(self, *args, by, **kwargs):
        super().__init__(*args, **kwargs)
        departments = Department.objects.operable_by(by)
        self.fields["department"].queryset = departments
        self.fields["department"].empty_label = None
        usable = models.Q(department__in=departments) | models.Q(department__isnull=True)
        rows = {
            "template": MigrationTemplate.objects.visible_to(by).active(),
            "persona": Persona.objects.visible_to(by).active(),
            "target": TargetEndpoint.objects.visible_to(by),
        }
        for name, found in rows.items():
            self.fields[name].queryset = found.filter(usable)
        self.fields["after"].queryset = Wave.objects.operable_by(by).exclude(pk=self.instance.pk)
        for name in ("persona", "target", "after"):
            self.fields[name].empty_label = "None"
        if not self.instance._state.adding:
            del self.fields["department"]

    def told_refused(self, errors: dict[str, list[str]]) -> None:
        for name, told in errors.items():
            self.add_error(name if name in self.fields else None, told)


class MembersForm(forms.Form):
    """One of the three ways; what is left empty adds nothing."""

    rule = forms.CharField(
        required=False,
        max_length=2000,
        widget=forms.TextInput(
            attrs={"spellcheck": "false", "placeholder": 'os ~ "debian" and tag:web and cpu_p95 < 20'}
        ),
    )
    file = forms.FileField(
        required=False, label="CSV", help_text="Columns vm, persona, order; only vm must be there."
    )
    vms = forms.ModelMultipleChoiceField(
        VirtualMachine.objects.none(),
        required=False,
        label="By hand",
        widget=forms.SelectMultiple(attrs={"size": 10}),
    )

    def __init__(self, *args, wave, by, **kwargs):
        super().__init__(*args, **kwargs)
        there = VirtualMachine.objects.visible_to(by).filter(
            department=wave.department, missing_since__isnull=True
        )
        self.fields["vms"].queryset = there.exclude(wave_members__wave=wave)

    def told_refused(self, errors: dict[str, list[str]]) -> None:
        for name, told in errors.items():
            field = name if name in self.fields else "file" if name.startswith("rows.") else None
            self.add_error(field, [f"{name}: {each}" if name.startswith("rows.") else each for each in told])


class MemberForm(forms.Form):
    persona = forms.ModelChoiceField(Persona.objects.none(), required=False, empty_label="The wave's")
    order = forms.IntegerField(min_value=0, max_value=10**6, help_text="Lower starts earlier.")
    overrides = forms.CharField(
        required=False,
        max_length=MAX_OVERRIDES,
        widget=forms.Textarea(attrs={"rows": 5, "spellcheck": "false"}),
        help_text="A settings document in YAML, as in “resources: {memory_mib: 2048}”, for this machine only.",
    )

    def __init__(self, *args, wave, by, **kwargs):
        super().__init__(*args, **kwargs)
        usable = models.Q(department=wave.department) | models.Q(department__isnull=True)
        self.fields["persona"].queryset = Persona.objects.visible_to(by).active().filter(usable)

    def clean_overrides(self) -> dict:
        return settings_document(self.cleaned_data["overrides"])


class WindowForm(forms.Form):
    starts_at = forms.DateTimeField(
        label="From (UTC)", widget=forms.DateTimeInput(attrs={"type": "datetime-local"})
    )
    ends_at = forms.DateTimeField(
        label="To (UTC)", widget=forms.DateTimeInput(attrs={"type": "datetime-local"})
    )
    weekly = forms.BooleanField(required=False, label="Every week")

    def told_refused(self, errors: dict[str, list[str]]) -> None:
        for name, told in errors.items():
            self.add_error(name if name in self.fields else None, told)


class WebhookForm(forms.ModelForm):
    events = forms.MultipleChoiceField(
        choices=EVENTS, required=False, widget=forms.CheckboxSelectMultiple, help_text="None ticked: all of them."
    )

    class Meta:
        model = Webhook
        fields = ["department", "name", "kind", "url", "events", "is_enabled"]
        labels = {"kind": "Who is told", "is_enabled": "Enabled"}

    def __init__(self, *args, by, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["department"].queryset = Department.objects.administered_by(by)
        self.fields["department"].required = not by.is_superuser
        everybody = "The organisation: told of every department"
        self.fields["department"].empty_label = everybody if by.is_superuser else None
        schemes = ", ".join(f"{scheme}://" for scheme in sorted(settings.NOTIFY_SCHEMES)) or "nothing yet"
        self.fields["url"].help_text = (
            "A system: https://host/path; no address of this server's own network. People: the service's address as "
            f"Apprise writes it, kept encrypted; the operator allows {schemes}."
        )
        if self.instance._state.adding:
            del self.fields["is_enabled"]
        else:
            del self.fields["department"], self.fields["kind"]
        if "kind" in self.fields:
            self.fields["kind"].required = False

    def clean_kind(self) -> str:
        return self.cleaned_data["kind"] or ListenerKind.WEBHOOK

    def told_refused(self, errors: dict[str, list[str]]) -> None:
        for name, told in errors.items():
            self.add_error(name if name in self.fields else None, told)
