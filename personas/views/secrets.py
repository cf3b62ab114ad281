"""Pages of secrets: that they are there, who uses them, and a form that never shows what was typed before."""

from personas.filters import SecretFilter
from personas.forms.rows import SecretForm
from personas.models import Secret
from personas.services import secrets
from personas.views.base import ConfirmPage, CreatePage, DetailPage, EditPage, ListPage, Page


class Secrets(Page):
    model, entity = Secret, "secret"


class SecretList(Secrets, ListPage):
    filterset_class = SecretFilter
    template_name = "personas/secret_list.html"

    def get_queryset(self):
        return super().get_queryset().select_related("department")


class SecretDetail(Secrets, DetailPage):
    template_name = "personas/secret_detail.html"


class SecretCreate(Secrets, CreatePage):
    form_class = SecretForm
    template_name = "personas/part_form.html"

    def save(self, form):
        return secrets.secret_create(by=self.request.user, **form.values())


class SecretEdit(Secrets, EditPage):
    form_class = SecretForm
    template_name = "personas/part_form.html"

    def save(self, form):
        version = form.cleaned_data["version"]
        return secrets.secret_update(
            secret=self.object, by=self.request.user, expected=version, **form.values()
        )


class SecretDelete(Secrets, ConfirmPage):
    pass
