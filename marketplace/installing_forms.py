"""What the pages of installing and updating ask: whether what runs as root has been read, and what it is given."""

from collections.abc import Mapping
from typing import Any

from django import forms

from marketplace.domain.bundle import Bundle
from marketplace.forms import Refusable
from personas.domain.scripts import LONGEST, Parameter, as_text
from personas.models import Department, Secret


class RootField(forms.BooleanField):
    """Cleans to the hash of what the page shows."""

    def clean(self, value):
        return self.sha256 if super().clean(value) else ""


def ask_root(form: forms.Form, bundle: Bundle, known: str | None = None) -> None:
    """Asks whether what runs as root has been read, unless there is none or it is known. `known`: of what the
    department has let in; None where nothing is installed."""
    field = form.fields["approved_script_sha256"]
    if bundle.root_sha256 in ("", known):
        del form.fields["approved_script_sha256"]
        return
    what = bundle.root_words
    field.sha256 = bundle.root_sha256
    changed = "changed " if known is not None else ""
    field.label = f"I have read the {changed}{what}, to be run as root in our machines"
    field.error_messages["required"] = f"Read the {what} below, then let it in."


class SecretChoice(forms.ModelChoiceField):
    """A secret by what it is called and whose it is; its value is nobody's to read."""

    def label_from_instance(self, secret):
        return f"{secret.name} ({secret.department})"


class GivesSecrets:
    """One question for each secret that its scripts are given; what is left open is given before a run."""

    def ask_secrets(self, names: list[str], rows, bound: dict[str, str] | None = None) -> None:
        self.secret_names = {f"secret_{number}": name for number, name in enumerate(names)}
        for field, name in self.secret_names.items():
            self.fields[field] = SecretChoice(
                rows,
                required=False,
                empty_label="Later, before it runs",
                to_field_name="slug" if bound is not None else None,
                initial=(bound or {}).get(name),
                label=f"Secret “{name}”",
                help_text="Which of the department's its scripts are given.",
            )

    def secrets(self) -> dict[str, str | None]:
        """None where the question is left open, or is now."""
        chosen = {name: self.cleaned_data.get(field) for field, name in self.secret_names.items()}
        return {name: secret.slug if secret else None for name, secret in chosen.items()}

    def require_secrets_of(self, department) -> None:
        for field in self.secret_names:
            secret = self.cleaned_data.get(field)
            if secret and department and secret.department_id != department.pk:
                self.add_error(field, f"It is none of {department}'s.")


def parameter_field(parameter: Parameter, **said: Any) -> forms.Field:
    """One that cleans to the parameter's own type."""
    if parameter.kind == "integer":
        return forms.IntegerField(**said)
    if parameter.kind == "string":
        return forms.CharField(max_length=LONGEST, strip=False, **said)
    words = parameter.choices or ["true", "false"]
    return forms.TypedChoiceField(
        choices=[("", "Choose"), *((word, word) for word in words)],
        coerce=(lambda word: word == "true") if parameter.kind == "boolean" else str,
        empty_value=None,
        **said,
    )


class GivesParameters(Refusable):
    """One question for each parameter that the publisher left open; what the service says of it stands beside it."""

    def ask_parameters(
        self, bundle: Bundle, known: Mapping[str, Any] | None = None, required: bool = True
    ) -> None:
        called = {script.slug: script.name for script in bundle.carried}
        self.parameter_names = {f"parameter_{n}": name for n, name in enumerate(bundle.parameters_asked)}
        for field, name in self.parameter_names.items():
            script, _, variable = name.partition(".")
            value = (known or {}).get(name)
            self.fields[field] = parameter_field(
                bundle.parameters_asked[name],
                required=required,
                initial=as_text(value) if isinstance(value, bool) else value,
                label=f"{variable} of “{called[script]}”",
                help_text=bundle.parameters_asked[name].description or "Its publisher leaves this to you.",
            )

    def parameters(self) -> dict[str, Any]:
        said = {name: self.cleaned_data.get(field) for field, name in self.parameter_names.items()}
        return {name: value for name, value in said.items() if value not in (None, "")}

    def told_refused(self, errors: dict[str, list[str]]) -> None:
        fields = {f"parameters.{name}": field for field, name in self.parameter_names.items()}
        super().told_refused({fields.get(name, name): told for name, told in errors.items()})


class InstallForm(GivesSecrets, GivesParameters, forms.Form):
    department = forms.ModelChoiceField(
        Department.objects.none(), empty_label=None, help_text="Where it will belong."
    )
    name = forms.CharField(max_length=80, help_text="Of the persona in your department.")
    approved_script_sha256 = RootField()

    def __init__(self, *args, user, bundle, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["department"].queryset = Department.objects.administered_by(user)
        self.initial |= {"name": bundle.persona.name}
        ask_root(self, bundle)
        self.ask_parameters(bundle)
        self.ask_secrets(bundle.secret_names, Secret.objects.administered_by(user))

    def clean(self):
        self.require_secrets_of(self.cleaned_data.get("department"))
        return super().clean()

    def installation(self) -> dict:
        """The box approves the text that this very page shows: its hash."""
        told = ("department", "name", "approved_script_sha256")
        said = {name: self.cleaned_data[name] for name in told if name in self.fields}
        return said | {"secrets": self.secrets(), "parameters": self.parameters()}


class UpdateForm(GivesSecrets, GivesParameters, forms.Form):
    """Only what has changed of that which runs as root is asked about; what was given is shown, and can be changed."""

    approved_script_sha256 = RootField()
    must_give = True

    def __init__(self, *args, bundle, installation, **kwargs):
        super().__init__(*args, **kwargs)
        ask_root(self, bundle, known=installation.approved_script_sha256)
        self.ask_parameters(bundle, known=installation.parameters, required=self.must_give)
        rows = Secret.objects.filter(department=installation.department)
        self.ask_secrets(bundle.secret_names, rows, bound=installation.secrets)

    def approval(self) -> str:
        return self.cleaned_data.get("approved_script_sha256", "")


class ForkUpdateForm(UpdateForm):
    """One question for each setting that both have changed."""

    must_give = False  # the department may have said it in its own edits

    def __init__(self, *args, conflicts, **kwargs):
        super().__init__(*args, **kwargs)
        self.paths = {f"conflict_{n}": conflict.path for n, conflict in enumerate(conflicts)}
        for name, conflict in zip(self.paths, conflicts, strict=True):
            self.fields[name] = forms.ChoiceField(
                choices=[("", "Choose"), ("ours", "Keep ours"), ("theirs", "Take upstream's")],
                label=conflict.path,
            )

    def choices(self) -> dict[str, str]:
        return {path: self.cleaned_data[name] for name, path in self.paths.items()}
