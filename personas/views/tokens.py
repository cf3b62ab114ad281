"""The reader's own API tokens."""

from django.shortcuts import render

from personas.errors import BadInput
from personas.filters import TokenFilter
from personas.forms.rows import TokenForm
from personas.models import ApiToken
from personas.services import tokens
from personas.views.base import ConfirmPage, FormPage, ListPage, Page


class Tokens(Page):
    model, entity = ApiToken, "token"

    def may_create(self):
        return True


class TokenList(Tokens, ListPage):
    filterset_class = TokenFilter
    template_name = "personas/token_list.html"


class TokenCreate(Tokens, FormPage):
    """The answer to POST shows the secret, this once: it is not kept anywhere, so there is nothing to redirect to."""

    form_class = TokenForm
    template_name = "personas/token_form.html"

    def get_context_data(self, **context):
        return super().get_context_data(cancel_url=self.url("list"), submit_label="Make token", **context)

    def form_valid(self, form):
        try:
            token, secret = tokens.token_create(by=self.request.user, **form.cleaned_data)
        except BadInput as error:
            form.told_refused(error.errors)
            return self.form_invalid(form)
        response = render(self.request, "personas/token_made.html", {"token": token, "secret": secret})
        response["Cache-Control"] = "no-store"
        return response


class TokenRevoke(Tokens, ConfirmPage):
    question = "Revoke the token “{row}”?"
    submit_label = "Revoke"
    done = "Revoked “{row}”: it opens nothing any more."

    def check(self):
        """Whoever sees a token owns it."""

    def url(self, page, row=None):
        return super().url("list")  # a token has no page of its own

    def act(self):
        tokens.token_revoke(token=self.object, by=self.request.user)
