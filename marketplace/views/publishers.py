"""Publishers: who they are, what is proven of them, and the keys that sign for them."""

from django.shortcuts import get_object_or_404
from django.views.generic import DetailView

from marketplace.filters import PublisherFilter
from marketplace.forms import KeyRevokeForm, ProofBeginForm, PublisherForm
from marketplace.models import Listing, Publisher
from marketplace.services.keys import key_revoke, key_rotate, ring_of
from marketplace.services.proof import (
    FILE,
    RECORD,
    hold_release,
    proof_begin,
    proof_by_admin,
    proof_check,
    proof_line,
)
from marketplace.services.publishing import publisher_update
from marketplace.views.listings import Market
from marketplace.views.rows import OwnRowForm
from personas.models import Role
from personas.services.access import allows
from personas.views.base import ActPage, ConfirmPage, ListPage


class Publishers(Market):
    model, entity = Publisher, "publisher"

    def get_queryset(self):
        return super().get_queryset().select_related("department", "catalogue")


class PublisherList(Publishers, ListPage):
    filterset_class = PublisherFilter
    template_name = "marketplace/publisher_list.html"


class PublisherDetail(Publishers, DetailView):
    template_name = "marketplace/publisher_detail.html"
    context_object_name = "publisher"

    def get_context_data(self, **context):
        publisher, user = self.object, self.request.user
        ring = ring_of(publisher)
        return super().get_context_data(
            ring=ring,
            retired=sorted(ring.trusted - {ring.current}),
            listings=Listing.objects.visible_to(user).filter(publisher=publisher),
            proof_line=proof_line(publisher),
            proof_file=f"https://{publisher.domain}/{FILE}",
            proof_record=f"{RECORD}.{publisher.domain}",
            may_write=not publisher.catalogue_id
            and allows(by=user, department=publisher.department, role=Role.ADMIN),
            **context,
        )


class ProofBegin(Publishers, OwnRowForm):
    form_class = ProofBeginForm
    question = "Which domain does “{row}” control?"
    submit_label = "Begin the proof"

    def save(self, form):
        return proof_begin(publisher=self.row, by=self.request.user, **form.cleaned_data)

    def success_message(self, row):
        return "Put the line where the page says, then let it be checked."


class ProofCheck(Publishers, ActPage):
    done = "It is there: “{row}” controls its domain."

    def act(self):
        proof_check(publisher=self.object, how=self.request.POST.get("how", ""), by=self.request.user)


class Vouch(Publishers, ActPage):
    done = "You vouch for “{row}”."

    def act(self):
        proof_by_admin(publisher=self.object, by=self.request.user)


class LetThrough(Publishers, ActPage):
    done = "Others see “{row}” from now on."

    def act(self):
        hold_release(publisher=self.object, by=self.request.user)


class PublisherEdit(Publishers, OwnRowForm):
    form_class = PublisherForm
    template_name = "components/form_page.html"

    def get_form_kwargs(self):
        return {**super().get_form_kwargs(), "instance": get_object_or_404(Publisher, pk=self.row.pk)}

    def get_context_data(self, **context):
        return super().get_context_data(heading=f"Edit {self.row}", **context)

    def save(self, form):
        return publisher_update(publisher=self.row, by=self.request.user, **form.cleaned_data)


class KeyRotate(Publishers, ConfirmPage):
    question = "Make a new key for “{row}”?"
    submit_label = "Rotate"
    done = "“{row}” signs with a new key; what the one before has signed stays valid."
    danger = tells_users = False

    def act(self):
        key_rotate(publisher=self.object, by=self.request.user)

    def after(self):
        return self.object.get_absolute_url()


class KeyRevoke(Publishers, OwnRowForm):
    form_class = KeyRevokeForm
    question = "Revoke a key of “{row}”?"
    submit_label = "Revoke"
    danger = True

    def get_form_kwargs(self):
        return {**super().get_form_kwargs(), "keys": sorted(ring_of(self.row).trusted)}

    def save(self, form):
        key_revoke(publisher=self.row, by=self.request.user, **form.cleaned_data)
        return self.row

    def success_message(self, row):
        return "Revoked: nothing that it has signed is trusted any more. The releases here are signed anew."
