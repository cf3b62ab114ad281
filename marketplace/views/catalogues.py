"""Catalogues of other instances, and bundles that come as files."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.generic import DetailView, View

from marketplace.filters import CatalogueFilter
from marketplace.forms import BundleImportForm, CatalogueForm
from marketplace.models import Catalogue, Listing, Release, TrustedKey
from marketplace.services import catalogues
from marketplace.services.entitlements import PaymentRequired, require_readable
from marketplace.services.importing import bundle_import, trusted_key_create, trusted_key_remove
from marketplace.services.keys import release_file, ring_of
from marketplace.views.listings import Market
from personas.models import Role
from personas.services.access import allows
from personas.views.base import ActPage, AskPage, ConfirmPage, FormPage, ListPage


class Catalogues(Market):
    model, entity = Catalogue, "catalogue"

    def get_queryset(self):
        return super().get_queryset().select_related("department")


class CatalogueList(Catalogues, ListPage):
    filterset_class = CatalogueFilter
    template_name = "marketplace/catalogue_list.html"

    def get_context_data(self, **context):
        feed = self.request.build_absolute_uri(reverse("marketplace:feed"))
        return super().get_context_data(feed=feed, ring=ring_of(None), **context)


class CatalogueCreate(Catalogues, AskPage):
    form_class = CatalogueForm
    template_name = "components/form_page.html"

    def get_context_data(self, **context):
        told = {"heading": "Subscribe to a catalogue", "submit_label": "Subscribe"}
        return super().get_context_data(**told, **context)

    def save(self, form):
        return catalogues.catalogue_create(by=self.request.user, **form.cleaned_data)

    def success_message(self, row):
        return f"Subscribed to “{row}”: ask it now, or wait for the next hour."


class CatalogueDetail(Catalogues, DetailView):
    template_name = "marketplace/catalogue_detail.html"
    context_object_name = "catalogue"

    def get_context_data(self, **context):
        offered = Listing.objects.visible_to(self.request.user).filter(publisher__catalogue=self.object)
        return super().get_context_data(
            listings=offered.select_related("publisher")[:200],
            may_write=allows(by=self.request.user, department=self.object.department, role=Role.ADMIN),
            **context,
        )


class CatalogueRefresh(Catalogues, ActPage):
    done = "Asked “{row}”: what holds is taken over."

    def act(self):
        catalogues.catalogue_refresh(catalogue=self.object, by=self.request.user)


class CatalogueDelete(Catalogues, ConfirmPage):
    question = "Leave the catalogue “{row}”?"
    submit_label = "Leave"
    done = "Left “{row}”: what it offered is not shown any more."
    tells_users = False

    def act(self):
        catalogues.catalogue_remove(catalogue=self.object, by=self.request.user)


class Files(Market):
    """For superusers."""

    def dispatch(self, request, *args, **kwargs):
        if request.user.is_authenticated and not request.user.is_superuser:
            raise PermissionDenied("Only a superuser lets files into the organisation's catalogue.")
        return super().dispatch(request, *args, **kwargs)


class BundleImport(Files, FormPage):
    model, entity = Listing, "listing"
    form_class = BundleImportForm
    template_name = "marketplace/bundle_import.html"

    def get_context_data(self, **context):
        told = {"cancel_url": self.url("list"), "submit_label": "Import"}
        return super().get_context_data(trusted=TrustedKey.objects.all(), **told, **context)

    @transaction.atomic
    def save(self, form):
        """A key that was typed with a file that is refused is not trusted by it."""
        said = form.cleaned_data
        if said["public_key"]:
            told = {"public_key": said["public_key"], "publisher": said["publisher"]}
            trusted_key_create(name=said["key_name"], by=self.request.user, **told)
        return bundle_import(content=said["file"].read(), by=self.request.user)

    def success_message(self, row):
        return f"Imported {row}."

    def success_url_of(self, row):
        return self.url("detail", row.listing)


class TrustedKeyRemove(Files, ConfirmPage):
    model = TrustedKey
    question = "Trust the key “{row}” no longer?"
    submit_label = "Remove"
    done = "Removed “{row}”: what only it has signed is not installed any more; what is installed goes on."
    tells_users = False

    def check(self):
        pass  # superusers only, who need no department

    def url(self, page, row=None):
        return reverse("marketplace:bundle_import")

    def act(self):
        trusted_key_remove(public_key=self.object.public_key, by=self.request.user)


class ReleaseFile(Market, View):
    """The signed file of a release, to carry it to another instance."""

    model = Release

    def get(self, request, pk):
        release = get_object_or_404(self.get_queryset(), pk=pk)
        try:
            require_readable(listing=release.listing, user=request.user)
        except PaymentRequired as refused:
            messages.error(request, str(refused))
            return redirect(release.listing)  # where it can be bought
        name = f"{release.listing.publisher.slug}-{release.listing.slug}-{release.version}.persona"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return HttpResponse(release_file(release), content_type="application/octet-stream", headers=headers)
