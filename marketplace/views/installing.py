"""Installing a release into a department, and taking it out again."""

from django.core.exceptions import PermissionDenied
from django.shortcuts import get_object_or_404
from django.urls import reverse

from marketplace.domain.manifest import manifest
from marketplace.filters import InstallationFilter
from marketplace.forms import InstallForm
from marketplace.models import Installation, Release
from marketplace.services.installing import bundle_in, installation_create, installation_remove
from marketplace.views.listings import Market
from personas.views.base import ConfirmPage, FormPage, ListPage


class Install(Market, FormPage):
    model, entity = Release, "listing"
    form_class = InstallForm
    template_name = "marketplace/install.html"

    def dispatch(self, request, *args, **kwargs):
        if request.user.is_authenticated:
            self.release = get_object_or_404(self.get_queryset(), pk=kwargs["pk"])
            if not self.may_create():
                raise PermissionDenied("Only an admin of a department installs.")
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
        installation_remove(installation=self.object, by=self.request.user)
