"""Deprecating, taking down, appealing; reports of abuse and what became of them."""

from django.urls import reverse

from marketplace.filters import ReportFilter
from marketplace.forms import (
    AppealForm,
    DeclineForm,
    DeprecateForm,
    LiftForm,
    ReportDecideForm,
    ReportForm,
    TakedownForm,
)
from marketplace.models import AbuseReport, Listing, Takedown
from marketplace.services import moderation
from marketplace.views.listings import Market
from marketplace.views.rows import ModeratorForm, OwnRowForm, RowForm
from personas.views.base import ActPage, ListPage


class Listings(Market):
    model, entity = Listing, "listing"


class ListingDeprecate(Listings, OwnRowForm):
    form_class = DeprecateForm
    question = "Deprecate “{row}”?"
    submit_label = "Deprecate"

    def get_form_kwargs(self):
        return {**super().get_form_kwargs(), "user": self.request.user, "listing": self.row}

    def save(self, form):
        return moderation.listing_deprecate(listing=self.row, by=self.request.user, **form.cleaned_data)

    def success_message(self, row):
        return f"Deprecated “{row}”: it goes on, and whoever looks at it or plans a run with it is told."


class ListingUndeprecate(Listings, ActPage):
    done = "“{row}” is not deprecated any more."

    def act(self):
        moderation.listing_undeprecate(listing=self.object, by=self.request.user)


class TakedownCreate(Listings, ModeratorForm):
    form_class = TakedownForm
    question = "Take down “{row}”?"
    submit_label = "Take down"
    danger = True

    def save(self, form):
        return moderation.takedown_create(listing=self.row, by=self.request.user, **form.cleaned_data)

    def success_message(self, row):
        return f"Taken down: nobody installs “{row.listing}”, and what is installed is not run."


class Takedowns(Market):
    model, entity = Takedown, "takedown"

    def back(self):
        return self.row.listing.get_absolute_url()


class TakedownAppeal(Takedowns, OwnRowForm):
    form_class = AppealForm
    question = "Appeal against the takedown of “{row.listing}”?"
    submit_label = "Appeal"

    def save(self, form):
        return moderation.takedown_appeal(takedown=self.row, by=self.request.user, **form.cleaned_data)

    def success_message(self, row):
        return "A moderator reads your appeal."


class AppealDecline(Takedowns, ModeratorForm):
    form_class = DeclineForm
    question = "Decline the appeal for “{row.listing}”?"
    submit_label = "Decline"

    def back(self):
        return reverse("marketplace:report_list")

    def save(self, form):
        return moderation.takedown_appeal_decline(
            takedown=self.row, by=self.request.user, **form.cleaned_data
        )

    def success_message(self, row):
        return f"Declined: “{row.listing}” stays taken down, and its publisher reads why."


class TakedownLift(Takedowns, ModeratorForm):
    form_class = LiftForm
    question = "Restore “{row.listing}”?"
    submit_label = "Restore"

    def save(self, form):
        return moderation.takedown_lift(takedown=self.row, by=self.request.user, **form.cleaned_data)

    def success_message(self, row):
        return f"Restored “{row.listing}”: what is installed runs again."


class ReportCreate(Listings, RowForm):
    form_class = ReportForm
    question = "Report “{row}”?"
    submit_label = "Report"

    def save(self, form):
        return moderation.report_create(listing=self.row, by=self.request.user, **form.cleaned_data)

    def success_message(self, row):
        return "Thank you: a moderator looks at it, and you find the outcome under My reports."


class ReportList(Market, ListPage):
    model, entity = AbuseReport, "report"
    filterset_class = ReportFilter
    template_name = "marketplace/report_list.html"

    def get_queryset(self):
        return super().get_queryset().select_related("listing__publisher", "reporter", "decided_by")

    def get_context_data(self, **context):
        appeals = Takedown.objects.visible_to(self.request.user).appeal_open()
        told = appeals.select_related("listing__publisher", "appealed_by").order_by("appealed_at")
        return super().get_context_data(appeals=told, **context)


class ReportDecide(ModeratorForm):
    model, entity = AbuseReport, "report"
    form_class = ReportDecideForm
    question = "Decide about “{row.listing}”"
    submit_label = "Decide"

    def save(self, form):
        return moderation.report_decide(report=self.row, by=self.request.user, **form.cleaned_data)

    def success_message(self, row):
        return "Decided; the reporter reads the outcome."
