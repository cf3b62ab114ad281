"""What the pages of the marketplace ask."""

import re

from django import forms
from pydantic import ValidationError as PydanticError

from marketplace.domain.bundle import CHANGE_KINDS, PersonaTest
from marketplace.models import AbuseReport, Listing, Publisher
from personas.domain.yaml_text import UnreadableYaml, dump_yaml, load_yaml
from personas.forms.fields import TextOf
from personas.models import Department, Persona

CHANGE = re.compile(rf"^(?P<kind>{'|'.join(CHANGE_KINDS)})\s*:\s*(?P<text>.+)$", re.IGNORECASE)


class ChangelogField(TextOf):
    """`added: text`, one change a line."""

    empty = []

    def parse(self, text: str) -> list[dict[str, str]]:
        changes = []
        for number, line in enumerate(filter(None, map(str.strip, text.splitlines())), start=1):
            found = CHANGE.match(line)
            if not found:
                raise forms.ValidationError(
                    f"Line {number}: begin with one of {', '.join(CHANGE_KINDS)}, as in added: …"
                )
            changes.append({"kind": found["kind"].lower(), "text": found["text"]})
        return changes

    def show(self, value) -> str:
        return "\n".join(f"{change['kind']}: {change['text']}" for change in value)


class TestsField(TextOf):
    """The persona's own tests, as YAML."""

    empty = []

    def parse(self, text: str) -> list[dict]:
        try:
            tests = load_yaml(text)
            if not isinstance(tests, list):
                raise forms.ValidationError("Give a list: each test begins with a dash.")
            return [
                PersonaTest.model_validate(test).model_dump(mode="json", exclude_defaults=True)
                for test in tests
            ]
        except UnreadableYaml as error:
            raise forms.ValidationError(str(error)) from None
        except PydanticError as error:
            told = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
            raise forms.ValidationError(told) from None

    def show(self, value) -> str:
        return dump_yaml(value)


PLACES = {"script", "scripts", "persona", "readme", "summary", "tests", "driver_set", "changelog"}
"""What a check before publishing may complain of; a form that has no such field names it."""


class Refusable:
    """Takes what a service refuses beside the fields that it is about."""

    def told_refused(self, errors: dict[str, list[str]]) -> None:
        for field, told in errors.items():
            own = field if field in self.fields else field.partition(".")[0]
            if own in self.fields:
                self.add_error(own, told)
            else:
                self.add_error(None, [f"{field}: {line}" if own in PLACES else line for line in told])


class ReleaseForm(Refusable, forms.Form):
    version = forms.CharField(
        max_length=40, initial="1.0.0",
        help_text="Three numbers; a version never changes. A pre-release, as 1.1.0-rc.1, is offered to nobody on "
        "a stable version.",
    )  # fmt: skip
    licence = forms.CharField(
        max_length=120, initial="Apache-2.0", help_text="An SPDX expression, as in Apache-2.0."
    )
    changelog = ChangelogField(
        label="What is new", help_text=f"One change a line: {', '.join(CHANGE_KINDS)}, a colon, the words."
    )

    def release(self) -> dict:
        return {name: self.cleaned_data[name] for name in ("version", "licence", "changelog")}


class WordsForm(ReleaseForm):
    """A version with the words of its listing: what is said in a namespace of four eyes."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        words = ListingForm().fields
        self.words = {name: words[name] for name in words if name not in ("tests", "visibility")}
        self.fields |= self.words

    def release(self) -> dict:
        return {**super().release(), "about": {name: self.cleaned_data[name] for name in self.words}}


class PublishForm(ReleaseForm):
    persona = forms.ModelChoiceField(Persona.objects.none(), help_text="Of a department that you administer.")
    publisher = forms.ModelChoiceField(
        Publisher.objects.none(), required=False, empty_label="A new one", help_text="Under whose name."
    )
    publisher_name = forms.CharField(
        max_length=80,
        required=False,
        label="Name of the new publisher",
        help_text="Seen by all; taken once and for all.",
    )
    needs_second_person = forms.BooleanField(
        required=False,
        label="Four eyes",
        help_text="The new publisher's releases, this one first, are approved by somebody other than their author.",
    )
    summary = forms.CharField(max_length=200, help_text="One sentence: for whom, and what it does.")
    readme = forms.CharField(
        widget=forms.Textarea,
        required=False,
        max_length=64 * 1024,
        label="Read me",
        help_text="What it expects of a machine and what it changes. Markdown.",
    )
    category = forms.ChoiceField(choices=Listing._meta.get_field("category").choices, initial="other")
    icon = forms.ChoiceField(choices=Listing._meta.get_field("icon").choices, initial="package")
    tests = TestsField(
        label="Tests",
        help_text="YAML: a list of name, template, expect (path: value), and software with suits: true or false.",
    )
    visibility = forms.ChoiceField(
        choices=Listing._meta.get_field("visibility").choices, initial="organisation", label="Seen by"
    )
    field_order = ["persona", "publisher", "publisher_name", "summary", "category", "icon", "visibility"]

    def __init__(self, *args, user, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["persona"].queryset = (
            Persona.objects.administered_by(user).active().select_related("department")
        )
        self.fields["publisher"].queryset = Publisher.objects.administered_by(user)

    def clean(self):
        said = super().clean()
        if not said.get("publisher") and not said.get("publisher_name"):
            self.add_error("publisher_name", "Choose a publisher, or name a new one.")
        publisher = said.get("publisher")
        if publisher and said.get("needs_second_person") and not publisher.needs_second_person:
            told = f"{publisher} is there already: ask for four eyes on its own page, then publish."
            self.add_error("needs_second_person", told)
        return said

    def listing(self) -> dict:
        told = ("summary", "readme", "category", "icon", "tests", "visibility")
        return {name: self.cleaned_data[name] for name in told}


class ListingForm(Refusable, forms.ModelForm):
    tests = TestsField(
        label="Tests", help_text="YAML: the persona's own tests; the next version carries them."
    )

    class Meta:
        model = Listing
        fields = ["name", "summary", "readme", "category", "icon", "tests", "visibility"]
        labels = {"readme": "Read me", "visibility": "Seen by"}
        help_texts = {"readme": "Markdown."}

    def __init__(self, *args, words_wait: bool = False, **kwargs):
        super().__init__(*args, **kwargs)
        if words_wait:
            for name in self.fields.keys() - {"tests", "visibility"}:
                self.fields[name].disabled = True
                self.fields[name].help_text = "Said with the next version, which a second person approves."

    def _post_clean(self):
        """The service sets the columns and checks them; the form only reads."""


class ReasonForm(Refusable, forms.Form):
    reason = forms.CharField(max_length=400, widget=forms.Textarea)


class YankForm(Refusable, forms.Form):
    reason = forms.CharField(max_length=200, help_text="Whoever has it installed will read it.")


class PublisherForm(Refusable, forms.ModelForm):
    class Meta:
        model = Publisher
        fields = ["description", "needs_second_person"]

    def _post_clean(self):
        """The service sets the columns and checks them; the form only reads."""


class KeyRevokeForm(Refusable, forms.Form):
    key = forms.ChoiceField(help_text="Nothing that it has signed will be trusted any more.")
    reason = forms.CharField(max_length=200, help_text="Whoever follows you reads it.")

    def __init__(self, *args, keys: list[str], **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["key"].choices = [(key, f"{key[:32]}…") for key in keys]


class CatalogueForm(Refusable, forms.Form):
    name = forms.CharField(max_length=80)
    url = forms.URLField(
        max_length=400,
        label="Address of the feed",
        assume_scheme="https",
        help_text="As in https://other.example/marketplace/feed.",
    )
    first_key = forms.CharField(
        max_length=64,
        required=False,
        label="Its first key",
        help_text="As the other side tells it by another way. Empty: what the first answer says is believed.",
    )
    department = forms.ModelChoiceField(
        Department.objects.none(), required=False, help_text="Who sees what it offers."
    )

    def __init__(self, *args, user, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["department"].queryset = Department.objects.administered_by(user)
        self.fields["department"].empty_label = "The whole organisation" if user.is_superuser else None
        self.fields["department"].required = not user.is_superuser


class BundleImportForm(Refusable, forms.Form):
    file = forms.FileField(help_text="A signed bundle of another instance.")
    public_key = forms.CharField(
        max_length=64,
        required=False,
        label="Key to trust from now on",
        help_text="Where no catalogue vouches for it.",
    )
    key_name = forms.CharField(
        max_length=80, required=False, label="Whose key it is", help_text="And how you know."
    )
    publisher = forms.CharField(
        max_length=63,
        required=False,
        label="Publisher that it signs for",
        help_text="The first half of its listings' address: it lets in nobody else's files. Empty: this file's.",
    )

    def clean(self):
        said = super().clean()
        if said.get("public_key") and not said.get("key_name"):
            self.add_error("key_name", "Say whose key it is.")
        return said


class DeprecateForm(Refusable, forms.Form):
    reason = forms.CharField(max_length=200, help_text="Why not to begin with it, and what to do instead.")
    successor = forms.ModelChoiceField(Listing.objects.none(), required=False, empty_label="None")

    def __init__(self, *args, user, listing, **kwargs):
        super().__init__(*args, **kwargs)
        others = Listing.objects.visible_to(user).exclude(pk=listing.pk)
        self.fields["successor"].queryset = others.filter(publisher__department=listing.department)


class TakedownForm(Refusable, forms.Form):
    reason = forms.CharField(max_length=300, help_text="Publisher and users read it.")


class DeclineForm(Refusable, forms.Form):
    reason = forms.CharField(max_length=300, help_text="Why it stays taken down; the publisher reads it.")


class LiftForm(Refusable, forms.Form):
    reason = forms.CharField(max_length=300, help_text="The publisher reads it.")


class AppealForm(Refusable, forms.Form):
    appeal = forms.CharField(
        max_length=1000, widget=forms.Textarea, help_text="Why it should be lifted, or what you have changed."
    )


class ReportForm(Refusable, forms.ModelForm):
    class Meta:
        model = AbuseReport
        fields = ["kind", "text"]
        labels = {"kind": "What is wrong", "text": "In your words"}
        widgets = {"text": forms.Textarea}

    def _post_clean(self):
        """The service makes the row and checks it; the form only reads."""


class ReportDecideForm(Refusable, forms.Form):
    upheld = forms.TypedChoiceField(
        choices=[("yes", "Upheld"), ("no", "Dismissed")],
        coerce=lambda value: value == "yes",
        label="The report is",
    )
    outcome = forms.CharField(max_length=400, widget=forms.Textarea, help_text="The reporter reads it.")
    take_down = forms.BooleanField(required=False, label="Take the listing down for this reason")


class ReviewForm(Refusable, forms.Form):
    department = forms.ModelChoiceField(
        Department.objects.none(), empty_label=None, help_text="For whom you speak."
    )
    stars = forms.TypedChoiceField(choices=[(n, f"{n} of 5") for n in range(5, 0, -1)], coerce=int)
    text = forms.CharField(max_length=2000, required=False, widget=forms.Textarea)

    def __init__(self, *args, departments, listing, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["department"].queryset = Department.objects.filter(
            pk__in=[each.pk for each in departments]
        )
        written = listing.reviews.filter(department__in=departments).first()
        if written:
            self.initial |= {"department": written.department, "stars": written.stars, "text": written.text}


class ReplyForm(Refusable, forms.Form):
    reply = forms.CharField(max_length=2000, widget=forms.Textarea)


class ProofBeginForm(Refusable, forms.Form):
    domain = forms.CharField(max_length=253, help_text="As in example.org.")
