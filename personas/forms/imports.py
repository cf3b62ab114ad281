"""A persona that comes in as a document."""

from django import forms

from personas.forms.fields import YamlField
from personas.models import Department


class PersonaImportForm(forms.Form):
    department = forms.ModelChoiceField(
        Department.objects.none(), required=False, help_text="Where the persona belongs."
    )
    document = YamlField(
        empty={},
        required=True,
        help_text="YAML or JSON with name and settings, as the download of a persona gives it.",
    )

    def __init__(self, *args, user, **kwargs):
        super().__init__(*args, **kwargs)
        mine, field = Department.objects.administered_by(user), self.fields["department"]
        field.queryset, field.required = mine, not user.is_superuser
        field.empty_label = "The organisation, for all" if user.is_superuser else None
        self.initial["department"] = mine.first()

    def told_refused(self, errors: dict[str, list[str]]) -> None:
        for field, told in errors.items():
            self.add_error("document", [f"{field}: {line}" if field else line for line in told])
