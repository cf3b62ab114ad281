"""Publishing a persona, a new version, a yank."""

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.shortcuts import get_object_or_404
from django.urls import reverse

from marketplace.forms import ListingForm, PublishForm, ReleaseForm, WordsForm, YankForm
from marketplace.models import Listing, Release, Submission
from marketplace.services.publishing import (
    ABOUT,
    listing_create,
    listing_update,
    publisher_create,
    release_publish,
    release_yank,
    words_wait,
)
from marketplace.services.submissions import submission_create
from marketplace.views.listings import Market
from personas.views.base import FormPage, require_here


def released(listing: Listing, form, user):
    """The release, or in a namespace of four eyes what is handed in for one."""
    verb = submission_create if listing.publisher.needs_second_person else release_publish
    return verb(by=user, listing=listing, **form.release())


class Publish(Market, FormPage):
    model, entity = Listing, "listing"
    form_class = PublishForm
    template_name = "marketplace/publish.html"

    def dispatch(self, request, *args, **kwargs):
        if request.user.is_authenticated and not self.may_create():
            raise PermissionDenied("Only an admin of a department publishes.")
        return super().dispatch(request, *args, **kwargs)

    def get_form_kwargs(self):
        return {**super().get_form_kwargs(), "user": self.request.user}

    def get_initial(self):
        return {"persona": self.request.GET.get("persona")}

    def get_context_data(self, **context):
        return super().get_context_data(
            cancel_url=reverse("marketplace:listing_list"), submit_label="Publish", **context
        )

    @transaction.atomic
    def save(self, form):
        user, said = self.request.user, form.cleaned_data
        publisher = said["publisher"] or publisher_create(
            by=user,
            department=said["persona"].department,
            name=said["publisher_name"],
            needs_second_person=said["needs_second_person"],
        )
        listing = listing_create(by=user, publisher=publisher, persona=said["persona"], **form.listing())
        released(listing, form, user)
        return listing

    def success_message(self, row):
        waits = row.publisher.needs_second_person
        return f"Handed in “{row}”: a second person approves it." if waits else f"Published “{row}”."


class ListingEdit(Market, FormPage):
    model, entity = Listing, "listing"
    form_class = ListingForm
    template_name = "components/form_page.html"

    def dispatch(self, request, *args, **kwargs):
        if request.user.is_authenticated:
            self.listing = get_object_or_404(self.get_queryset(), pk=kwargs["pk"])
            require_here(request.user, self.listing)
        return super().dispatch(request, *args, **kwargs)

    def get_form_kwargs(self):
        told = {"instance": self.listing, "words_wait": words_wait(self.listing)}
        return {**super().get_form_kwargs(), **told}

    def get_context_data(self, **context):
        told = {"heading": f"Edit {self.listing}", "cancel_url": self.url("detail", self.listing)}
        return super().get_context_data(**told, **context)

    def save(self, form):
        return listing_update(listing=self.listing, by=self.request.user, **form.cleaned_data)


class ReleaseCreate(Market, FormPage):
    model, entity = Listing, "listing"
    template_name = "marketplace/release_form.html"

    def dispatch(self, request, *args, **kwargs):
        if request.user.is_authenticated:
            self.listing = get_object_or_404(Listing.objects.visible_to(request.user), pk=kwargs["pk"])
            require_here(request.user, self.listing)
        return super().dispatch(request, *args, **kwargs)

    def get_form_class(self):
        return WordsForm if words_wait(self.listing) else ReleaseForm

    def get_initial(self):
        released = max(self.listing.releases.all(), key=lambda release: release.key, default=None)
        if released is None:
            return {}
        major, minor, _ = released.key.release
        version = released.key.base_version if released.is_prerelease else f"{major}.{minor + 1}.0"
        words = {name: getattr(self.listing, name) for name in ABOUT}
        return {"version": version, "licence": released.licence, **words}

    def get_context_data(self, **context):
        return super().get_context_data(
            listing=self.listing,
            cancel_url=self.url("detail", self.listing),
            submit_label="Hand in" if self.listing.publisher.needs_second_person else "Publish",
            **context,
        )

    def save(self, form):
        return released(self.listing, form, self.request.user)

    def success_message(self, row):
        if isinstance(row, Submission):
            return f"Handed in {row}: a second person approves it."
        return f"Published {row}."

    def success_url_of(self, row):
        return self.url("detail", self.listing)


class ReleaseYank(Market, FormPage):
    model, entity = Release, "listing"
    form_class = YankForm
    template_name = "marketplace/yank.html"

    def dispatch(self, request, *args, **kwargs):
        if request.user.is_authenticated:
            self.release = get_object_or_404(self.get_queryset(), pk=kwargs["pk"])
            require_here(request.user, self.release)
        return super().dispatch(request, *args, **kwargs)

    def get_context_data(self, **context):
        return super().get_context_data(
            question=f"Yank {self.release}?",
            cancel_url=self.url("detail", self.release.listing),
            submit_label="Yank",
            danger=True,
            **context,
        )

    def save(self, form):
        return release_yank(release=self.release, by=self.request.user, reason=form.cleaned_data["reason"])

    def success_message(self, row):
        return f"Yanked {row}: it is not installed any more; where it is installed it goes on."

    def success_url_of(self, row):
        return self.url("detail", row.listing)
