"""Forms of this app's pages; services check and write."""

from django import forms
from django.db import models

from migrations_engine.domain.terms import LONGEST_MINUTES, TermsError, terms_of
from migrations_engine.models import TargetEndpoint
from migrations_engine.models.run import COMMITS, MODES, ON_ROLLBACK
from personas.domain.yaml_text import UnreadableYaml, load_yaml
from personas.models import Department

MAX_OVERRIDES = 20_000


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
    mode = forms.ChoiceField(choices=MODES, required=False, label="Kind", help_text="A test is discarded in the end.")
    commit = forms.ChoiceField(choices=COMMITS, required=False, help_text="Who says that the machine stays.")
    confirm_minutes = forms.IntegerField(
        required=False, min_value=1, max_value=LONGEST_MINUTES, label="Minutes to confirm it in"
    )
    checks_confirm = forms.BooleanField(required=False, label="Acceptance checks that all pass confirm it")
    on_rollback = forms.ChoiceField(choices=ON_ROLLBACK, required=False, label="On a rollback")
    plan_sha256 = forms.RegexField("^[0-9a-f]{64}$", required=False, widget=forms.HiddenInput)
    launch_key = forms.UUIDField(required=False, widget=forms.HiddenInput)  # a button pressed twice starts one run

    def __init__(self, *args, by, department, **kwargs):
        super().__init__(*args, **kwargs)
        usable = models.Q(department=department) | models.Q(department__isnull=True)
        self.fields["target"].queryset = TargetEndpoint.objects.visible_to(by).filter(usable)

    def clean(self):
        cleaned = super().clean()
        try:
            cleaned["terms"] = terms_of(cleaned)
        except TermsError as error:
            self.add_error(error.field, str(error))
        return cleaned

    def clean_overrides(self) -> dict:
        text = self.cleaned_data["overrides"]
        try:
            document = load_yaml(text) if text.strip() else {}
        except UnreadableYaml as error:
            raise forms.ValidationError(f"This is no YAML: {error}") from error
        if not isinstance(document, dict):
            raise forms.ValidationError("Write settings as `name: value`.")
        return document
