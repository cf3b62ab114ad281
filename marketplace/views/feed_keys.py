"""The keys that sign our own feed: a superuser's to change."""

from django import forms
from django.core.exceptions import PermissionDenied
from django.urls import reverse

from marketplace.forms import KeyRevokeForm
from marketplace.models import Catalogue
from marketplace.services.keys import key_revoke, key_rotate, ring_of
from marketplace.views.listings import Market
from personas.views.base import FormPage


class FeedKeyPage(Market, FormPage):
    model, entity = Catalogue, "catalogue"
    form_class = forms.Form
    template_name = "components/confirm_page.html"
    question = submit_label = done = ""
    danger = False

    def dispatch(self, request, *args, **kwargs):
        if request.user.is_authenticated and not request.user.is_superuser:
            raise PermissionDenied("The feed's key is a superuser's to change.")
        return super().dispatch(request, *args, **kwargs)

    def get_context_data(self, **context):
        told = {"question": self.question, "submit_label": self.submit_label, "danger": self.danger}
        return super().get_context_data(cancel_url=self.url("list"), **told, **context)

    def success_message(self, row):
        return self.done

    def success_url_of(self, row):
        return reverse("marketplace:catalogue_list")


class FeedKeyRotate(FeedKeyPage):
    question = "Make a new key for our feed?"
    submit_label = "Rotate"
    done = "The feed is signed with a new key; who subscribes to it follows by itself."

    def save(self, form):
        return key_rotate(publisher=None, by=self.request.user)


class FeedKeyRevoke(FeedKeyPage):
    form_class = KeyRevokeForm
    question = "Revoke a key of our feed?"
    submit_label = "Revoke"
    danger = True
    done = "Revoked: no feed that it has signed is taken any more; who subscribes to ours follows by itself."

    def get_form_kwargs(self):
        return {**super().get_form_kwargs(), "keys": sorted(ring_of(None).trusted)}

    def save(self, form):
        return key_revoke(publisher=None, by=self.request.user, **form.cleaned_data)
