"""What people type: sources, what an image does not know, answers to suggestions, usage files, a drafted persona."""

import uuid

from django import forms

from analyzer.models import (
    SizingSettings,
    SoftwareName,
    SourceEndpoint,
    UsageProvider,
    VirtualMachine,
    VMPersona,
)
from analyzer.models.source import IMAGES, LIBVIRT
from analyzer.services.sizing_settings import SETTINGS, longest_window_days, standard_values
from personas.forms.fields import LinesField, YamlField
from personas.models import Department, Persona


class SourceForm(forms.ModelForm):
    class Meta:
        model = SourceEndpoint
        fields = ["name", "kind", "location", "rescan", "department"]
        labels = {"rescan": "Scan again"}
        help_texts = {
            "kind": "A hypervisor's machines can be moved while they run. Running machines over SSH are looked into, "
            "not moved. An inventory file tells of machines to size.",
            "location": "Of images: a directory; those in it, and up to four directories below, become machines.",
            "department": "Whose machines these are. It cannot be changed later.",
        }

    def __init__(self, *args, user, roots, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["department"].queryset = Department.objects.administered_by(user)
        self.fields["department"].required = not user.is_superuser
        if len(self.fields["department"].queryset) == 1:
            self.initial.setdefault("department", self.fields["department"].queryset[0].pk)
        self.fields["kind"].required = self.fields["rescan"].required = False
        self.fields["location"].label = "Directory, or connection URI"
        self.fields[
            "location"
        ].help_text += (
            f" It lies below {', '.join(map(str, roots))}. Of a hypervisor: qemu+ssh://host/system."
        )
        if not self.instance._state.adding:  # a new row has its id from the start
            del self.fields["department"], self.fields["kind"]
            if self.instance.kind not in (IMAGES, LIBVIRT):
                del self.fields["location"]
            else:
                self.fields["location"].label = self.instance.location_label
            if self.instance.is_inventory:
                del self.fields["rescan"]

    def clean_kind(self):
        return self.cleaned_data["kind"] or IMAGES

    def clean_rescan(self):
        return self.cleaned_data["rescan"] or self.instance.rescan

    def _post_clean(self):
        """The service checks the row, as it does for API and command line."""


class SoftwareNameForm(forms.ModelForm):
    class Meta:
        model = SoftwareName
        fields = ["name", "means", "department"]
        labels = {"name": "On the machine", "means": "Is"}
        help_texts = {"department": "Whose machines it is about. It cannot be changed later."}

    def __init__(self, *args, user, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["department"].queryset = Department.objects.administered_by(user)
        self.fields["department"].required = not user.is_superuser
        if len(self.fields["department"].queryset) == 1:
            self.initial.setdefault("department", self.fields["department"].queryset[0].pk)
        if not self.instance._state.adding:
            del self.fields["department"]

    def _post_clean(self):
        """The service checks the row, as it does for API and admin."""


class SizingSettingsForm(forms.ModelForm):
    class Meta:
        model = SizingSettings
        fields = list(SETTINGS)
        help_texts = {
            "cpu_percentile": "50 to 99.9: so much of the time the use is below the size.",
            "cpu_headroom": "1 to 5: the percentile times this.",
            "memory_percentile": "Too little memory for a minute ends a process: look at rarer peaks.",
        }

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        window = f"7 to {longest_window_days()}: so many days back, since the last resize."
        self.fields["window_days"].help_text = window
        for name, value in standard_values().items():
            field = self.fields[name]
            field.help_text = f"{field.help_text} Empty: {value:g}.".strip()

    def _post_clean(self):
        """The service checks the row."""


class UsageProviderForm(forms.ModelForm):
    class Meta:
        model = UsageProvider
        fields = ["url", "exporter", "label", "part"]
        labels = {"url": "Address", "part": "Of the label counts"}
        help_texts = {
            "url": "As in http://prometheus.example.org:9090. An operator allows addresses of your own network "
            "(OUTBOUND_PRIVATE_NETWORKS).",
            "label": "The label that tells the machines apart. Empty: instance, or domain of libvirt.",
            "part": "It is compared with the machine's name and host name.",
        }

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["label"].required = False

    def _post_clean(self):
        """The service checks the row."""


class SshForm(forms.Form):
    """Who logs in to which machines. What is secret is never shown again: an empty field leaves it as it is."""

    hosts = LinesField(
        required=True,
        label="Machines", help_text="One a line: web1.example.org, 192.0.2.7, [2001:db8::1]:2222."
    )
    port = forms.IntegerField(min_value=1, max_value=65535, initial=22, help_text="Where a line names none.")
    username = forms.CharField(max_length=64, label="User")
    private_key = forms.CharField(
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"autocomplete": "off", "spellcheck": "false"}),
        help_text="In OpenSSH's or PEM's form, without a passphrase. It is kept encrypted and never shown again.",
    )
    password = forms.CharField(
        required=False,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="Only where there is no key.",
    )
    use_sudo = forms.BooleanField(
        required=False,
        label="Use sudo where it may",
        help_text="Root is told more: which process listens, crontabs of others. A sudo that asks gets the password.",
    )
    jump_host = forms.CharField(
        required=False, help_text="The way to the machines, if there is one; the same user and key."
    )

    def __init__(self, *args, known: bool, hypervisor: bool = False, **kwargs):
        """`hypervisor`: its address is in its connection URI, and no command is run there."""
        super().__init__(*args, **kwargs)
        if known:
            self.fields["private_key"].help_text += " Empty: the one that is kept."
        for name in ("hosts", "port", "use_sudo", "jump_host") if hypervisor else ():
            del self.fields[name]

    def clean(self):
        """The service checks addresses and keys, as it does for the API."""
        return self.cleaned_data


class TagsField(forms.CharField):
    """`key=value` a line; as a map."""

    widget = forms.Textarea

    def prepare_value(self, value):
        return "\n".join(f"{key}={told}" for key, told in value.items()) if isinstance(value, dict) else value

    def to_python(self, value):
        tags = {}
        for line in (value or "").splitlines():
            key, equals, told = line.partition("=")
            if line.strip() and not (equals and key.strip()):
                raise forms.ValidationError(f"“{line[:40]}” is not of the form key=value.")
            if line.strip():
                tags[key.strip()] = told.strip()
        return tags


class TickedForm(forms.Form):
    """Machines ticked in the list."""

    vm = forms.TypedMultipleChoiceField(coerce=uuid.UUID)

    def __init__(self, data):
        super().__init__(data)
        self.fields["vm"].choices = [(value, value) for value in data.getlist("vm")]


class ManyForm(TickedForm):
    """One persona for those ticked; `confirmed` once the preview has been seen."""

    persona = forms.ModelChoiceField(queryset=Persona.objects.none())
    confirmed = forms.BooleanField(required=False)

    def __init__(self, data, *, personas):
        super().__init__(data)
        self.fields["persona"].queryset = personas


class MachineForm(forms.ModelForm):
    tags = TagsField(required=False, help_text="One a line, as in cost-centre=4711.")

    class Meta:
        model = VirtualMachine
        fields = ["vcpus", "memory_mib", "tags"]
        help_texts = {
            "vcpus": "What the machine has today; a disk image does not tell.",
            "memory_mib": "In MiB: 4096 is 4 GiB.",
        }

    def _post_clean(self):
        """The service checks the row."""


class AnswerForm(forms.Form):
    """Choose another, or dismiss."""

    persona = forms.ModelChoiceField(queryset=Persona.objects.none())
    use_case = forms.CharField(
        max_length=80, initial="default", help_text="What the machine is used for then."
    )
    reason = forms.CharField(max_length=400, required=False, help_text="Helps the next suggestion.")

    def __init__(self, *args, personas, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["persona"].queryset = personas


class DismissForm(forms.Form):
    reason = forms.CharField(max_length=400, required=False, help_text="Why it does not fit.")


class NoneFitsForm(forms.Form):
    reason = forms.CharField(max_length=400, required=False, help_text="What it is for, if you can say.")


class AssignForm(forms.ModelForm):
    class Meta:
        model = VMPersona
        fields = ["persona", "use_case", "priority"]
        help_texts = {
            "use_case": "A machine can be moved for one use case or another.",
            "priority": "Where two personas disagree, the higher priority wins.",
        }

    def __init__(self, *args, personas, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["persona"].queryset = personas

    def _post_clean(self):
        """The service checks the row."""


class UsageUploadForm(forms.Form):
    file = forms.FileField(
        label="CSV file",
        help_text="A column t (ISO 8601, UTC unless it says otherwise, or epoch seconds), and one or more of "
        "cpu_percent, memory_percent, net_in_mbps, net_out_mbps, disk_read_mibs, disk_write_mibs.",
        widget=forms.ClearableFileInput(attrs={"accept": ".csv,text/csv"}),
    )


class InventoryForm(forms.Form):
    file = forms.FileField(
        label="Inventory file",
        help_text="RVTools .xlsx, CSV of Azure Migrate, AWS Application Discovery or MGN, Ansible facts as JSON, or "
        "our own CSV. It is known by its content.",
        widget=forms.ClearableFileInput(attrs={"accept": ".xlsx,.csv,.json,text/csv,application/json"}),
    )


class InventoryConfirmForm(forms.Form):
    complete = forms.BooleanField(
        required=False,
        label="The file lists every machine of this source",
        help_text="Machines that it does not have are then marked as missing.",
    )


class PersonaDraftForm(forms.Form):
    name = forms.CharField(max_length=80)
    description = forms.CharField(max_length=400, required=False)
    hints = LinesField(
        required=False, label="Known by", help_text="Software that speaks for this persona, one name a line."
    )
    settings = YamlField(
        empty={},
        required=True,
        help_text="A settings document (YAML): what a machine of this persona gets.",
    )

    def clean_settings(self):
        document = self.cleaned_data["settings"]
        if not isinstance(document, dict):
            raise forms.ValidationError("Give a mapping, as in “resources: {vcpus: 2}”.")
        return document
