"""Installing a release into a department, and taking it out again."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse

from marketplace.domain.manifest import manifest
from marketplace.filters import InstallationFilter
from marketplace.installing_forms import InstallForm, UpdateForm
from marketplace.models import Installation, Release
from marketplace.services.entitlements import may_read
from marketplace.services.installing import (
    bundle_in,
    installation_create,
    installation_remove,
    installation_update,
)
from marketplace.services.previews import installation_preview
from marketplace.views.listings import Market
from personas.views.base import ConfirmPage, FormPage, ListPage, require_here


def to_the_till(request, listing):
    messages.info(request, f"{listing} has to be bought first.")
    return redirect("marketplace:order_create", pk=listing.pk)


class Install(Market, FormPage):
    model, entity = Release, "listing"
    form_class = InstallForm
    template_name = "marketplace/install.html"

    def dispatch(self, request, *args, **kwargs):
        if request.user.is_authenticated:
            self.release = get_object_or_404(self.get_queryset(), pk=kwargs["pk"])
            if not self.may_create():
                raise PermissionDenied("Only an admin of a department installs.")
            if not may_read(listing=self.release.listing, user=request.user):
                return to_the_till(request, self.release.listing)
            self.bundle = bundle_in(self.release)
        return super().dispatch(request, *args, **kwargs)

    def get_form_kwargs(self):
        return {**super().get_form_kwargs(), "user": self.request.user, "bundle": self.bundle}

    def get_context_data(self, **context):
        return super().get_context_data(
            release=self.release,
            bundle=self.bundle,
            permissions=manifest(self.bundle),
            cancel_url=self.url("detail", self.release.listing),
            submit_label="Install",
            **context,
        )

    def save(self, form):
        return installation_create(release=self.release, by=self.request.user, **form.installation())

    def success_message(self, row):
        return f"Installed {row.release} as “{row.persona}” in {row.department}."

    def success_url_of(self, row):
        return reverse("personas:persona_detail", args=[row.persona_id])


class InstallationList(Market, ListPage):
    model, entity = Installation, "installation"
    filterset_class = InstallationFilter
    template_name = "marketplace/installation_list.html"

    def get_queryset(self):
        return super().get_queryset().select_related("department", "listing", "release", "persona")


class Update(Market, FormPage):
    """From what is installed to the release that `?release=` names: what would change, then the question. Without a
    name it leads to the newest by its name: a yes is to what was shown, whatever comes out meanwhile."""

    model, entity = Installation, "installation"
    form_class = UpdateForm
    template_name = "marketplace/update.html"
    of_forks = False

    def dispatch(self, request, *args, **kwargs):
        if request.user.is_authenticated:
            self.installation = get_object_or_404(self.get_queryset(), pk=kwargs["pk"])
            require_here(request.user, self.installation)
            if self.installation.is_fork != self.of_forks:
                page = "installation_update" if self.of_forks else "fork_update"
                query = f"?{request.GET.urlencode()}" if request.GET else ""
                return redirect(reverse(f"marketplace:{page}", args=[self.installation.pk]) + query)
            self.release = self.asked()
            if self.release is None or self.release == self.installation.release:
                what = "installed already" if "release" in request.GET else "the newest version"
                messages.info(request, f"{self.installation.release} is {what}.")
                return redirect(self.installation.get_absolute_url())
            if not may_read(listing=self.release.listing, user=request.user):
                return to_the_till(request, self.release.listing)
            if "release" not in request.GET:
                return redirect(f"{request.path}?release={self.release.pk}")
            self.bundle = bundle_in(self.release)
        return super().dispatch(request, *args, **kwargs)

    def asked(self) -> Release | None:
        listing = self.installation.listing
        if "release" not in self.request.GET:
            return listing.offered_to(self.installation.release)
        rows = Release.objects.visible_to(self.request.user).filter(listing=listing)
        try:
            return get_object_or_404(rows, pk=self.request.GET["release"])
        except ValidationError:  # no id at all
            raise Http404("No such release.") from None

    def get_form_kwargs(self):
        return {**super().get_form_kwargs(), "bundle": self.bundle, "installation": self.installation}

    def get_context_data(self, **context):
        preview = installation_preview(
            installation=self.installation, release=self.release, by=self.request.user
        )
        verb = "Go back" if preview.is_back else "Update"
        return super().get_context_data(
            installation=self.installation,
            release=self.release,
            bundle=self.bundle,
            preview=preview,
            changes=preview.settings,
            delta=preview.delta,
            cancel_url=self.installation.get_absolute_url(),
            submit_label=f"{verb} to {self.release.version}",
            **context,
        )

    def save(self, form):
        return installation_update(
            installation=self.installation,
            release=self.release,
            by=self.request.user,
            approved_script_sha256=form.approval(),
            secrets=form.secrets(),
            parameters=form.parameters(),
        )

    def success_message(self, row):
        return f"Updated “{row.persona}” to {row.release}."

    def success_url_of(self, row):
        return reverse("personas:persona_detail", args=[row.persona_id])


class Uninstall(Market, ConfirmPage):
    model, entity = Installation, "installation"
    question = "Uninstall {row}?"
    submit_label = "Uninstall"
    done = "Uninstalled {row}."

    def url(self, page, row=None):
        if page == "detail":
            return row.get_absolute_url()
        return super().url(page, row)

    def act(self):
        if installation_remove(installation=self.object, by=self.request.user):
            self.done = "Uninstalled {row}. Its persona is archived: the runs that are behind it keep it."
