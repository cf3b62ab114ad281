"""Writing a review, and answering one."""

from django.core.exceptions import PermissionDenied

from marketplace.forms import ReplyForm, ReviewForm
from marketplace.models import Listing, Review
from marketplace.services.reviews import may_reply, may_review, review_reply, review_write
from marketplace.views.rows import RowForm


class ReviewWrite(RowForm):
    model, entity = Listing, "listing"
    form_class = ReviewForm
    question = "What did “{row}” do for you?"
    submit_label = "Publish the review"

    def get_form_kwargs(self):
        departments = may_review(listing=self.row, by=self.request.user)
        if not departments:
            raise PermissionDenied("Who has finished a run of it, as it was published, may write of it.")
        return {**super().get_form_kwargs(), "departments": departments, "listing": self.row}

    def save(self, form):
        return review_write(listing=self.row, by=self.request.user, **form.cleaned_data)

    def success_message(self, row):
        return f"Your review of “{row.listing}” is shown."


class ReviewReply(RowForm):
    model, entity = Review, "review"
    form_class = ReplyForm
    question = "Answer a review of “{row.listing}”"
    submit_label = "Answer"

    def get_form_kwargs(self):
        if not may_reply(listing=self.row.listing, by=self.request.user):
            raise PermissionDenied("The publisher answers.")
        return {**super().get_form_kwargs(), "initial": {"reply": self.row.reply}}

    def back(self):
        return self.row.listing.get_absolute_url()

    def save(self, form):
        return review_reply(review=self.row, by=self.request.user, **form.cleaned_data)

    def success_message(self, row):
        return "Your answer is shown."
