"""Fields for what is a list, a map or a structure in the database and lines of text on a page."""

from typing import Any

from django import forms

from personas.domain.security_groups import from_text, to_text
from personas.domain.settings import InvalidSettings
from personas.domain.yaml_text import UnreadableYaml, dump_yaml, load_yaml

LONGEST = (
    64 * 1024
)  # characters of one such field: more than anybody types, less than what slows a parser down


class TextOf(forms.CharField):
    """A text area whose value is data: `parse` reads it, `show` writes it. What was typed stays when it is wrong."""

    widget = forms.Textarea
    empty: Any = None

    def __init__(self, **kwargs):
        kwargs.setdefault("required", False)
        super().__init__(max_length=LONGEST, strip=True, **kwargs)
        self.widget.attrs.setdefault("spellcheck", "false")

    def to_python(self, value):
        text = super().to_python(value)
        return self.parse(text.replace("\r\n", "\n")) if text else self.empty_value_made()

    def empty_value_made(self):
        return type(self.empty)() if self.empty is not None else None

    def prepare_value(self, value):
        return value if isinstance(value, str) else self.show(value) if value else ""

    def has_changed(self, initial, data):
        return self.prepare_value(initial) != (data or "").replace("\r\n", "\n")

    def validate(self, value):
        if self.required and not value:
            raise forms.ValidationError(self.error_messages["required"], code="required")

    def run_validators(self, value):
        """The length was checked on the text; `value` is no text any more."""


class LinesField(TextOf):
    """A list of words, one a line."""

    empty = []

    def to_python(self, value):
        return list(dict.fromkeys(super().to_python(value)))

    def parse(self, text: str) -> list[str]:
        _bounded(text)
        return [line.strip() for line in text.splitlines() if line.strip()]

    def show(self, value: Any) -> str:
        return "\n".join(map(str, value)) if isinstance(value, list) else str(value)


class PairsField(TextOf):
    """A map, one `key = value` a line; `-key` is the key with null: it takes away what a lower layer says."""

    empty = {}

    def parse(self, text: str) -> dict[str, str | None]:
        _bounded(text)
        pairs: dict[str, str | None] = {}
        for number, line in enumerate(text.splitlines(), start=1):
            said = line.strip()
            if not said:
                continue
            key, equals, value = said.partition("=")
            if said.startswith("-"):
                key, value = said[1:], None
            elif not equals:
                raise forms.ValidationError(f"Line {number}: write key = value (got “{said}”).")
            key = key.strip()
            if key in pairs:
                raise forms.ValidationError(f"Line {number}: {key} is there twice.")
            pairs[key] = value.strip() if value is not None else None
        return pairs

    def show(self, value: Any) -> str:
        if not isinstance(value, dict):
            return str(value)
        return "\n".join(f"-{key}" if each is None else f"{key} = {each}" for key, each in value.items())


class YamlField(TextOf):
    """Any structure, as YAML (so as JSON too)."""

    def __init__(self, *, empty: Any, **kwargs):
        super().__init__(**kwargs)
        self.empty = empty

    def parse(self, text: str) -> Any:
        _bounded(text)
        try:
            return load_yaml(text)
        except UnreadableYaml as error:
            raise forms.ValidationError(f"{str(error).capitalize()}.") from None

    def show(self, value: Any) -> str:
        return dump_yaml(value).strip()


class SecurityGroupsField(TextOf):
    """Groups and rules as lines (personas/domain/security_groups.py)."""

    empty = []

    def parse(self, text: str) -> list[dict]:
        _bounded(text)
        try:
            return from_text(text)
        except InvalidSettings as error:
            raise forms.ValidationError(
                [f"{e['field'].capitalize()}: {e['message']}" for e in error.errors]
            ) from None

    def show(self, value: Any) -> str:
        return to_text(value)


def _bounded(text: str) -> None:
    if len(text) > LONGEST:
        raise forms.ValidationError(f"At most {LONGEST} characters.")
