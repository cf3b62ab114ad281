"""Releases that wait for a second person."""

from django.contrib import messages
from django.shortcuts import get_object_or_404, redirect
from django.utils.safestring import SafeString
from django.views.generic import DetailView

from marketplace.domain.markdown import rendered
from marketplace.filters import SubmissionFilter
from marketplace.forms import ReasonForm
from marketplace.models import Submission
from marketplace.services.submissions import (
    may_decide,
    submission_approve,
    submission_refuse,
    submission_told,
)
from marketplace.views.listings import Market
from personas.domain.labels import grouped
from personas.views.base import ActPage, FormPage, ListPage, require_here


class Submissions(Market):
    model, entity = Submission, "submission"

    def get_queryset(self):
        return super().get_queryset().select_related("listing__publisher__department", "author", "decided_by")


class SubmissionList(Submissions, ListPage):
    filterset_class = SubmissionFilter
    template_name = "marketplace/submission_list.html"


class SubmissionDetail(Submissions, DetailView):
    template_name = "marketplace/submission_detail.html"
    context_object_name = "submission"

    def get_context_data(self, **context):
        submission = self.object
        told = submission_told(submission)
        return super().get_context_data(
            **told._asdict(),
            groups=grouped(told.bundle.persona.settings),
            readme=SafeString(rendered(told.bundle.about.readme)) if told.bundle.about else "",
            may_decide=may_decide(submission=submission, by=self.request.user),
            **context,
        )


class SubmissionApprove(Submissions, ActPage):
    done = "Approved {row}: it is published."

    def act(self):
        submission_approve(submission=self.object, by=self.request.user)


class SubmissionRefuse(Submissions, FormPage):
    form_class = ReasonForm
    template_name = "components/confirm_page.html"

    def dispatch(self, request, *args, **kwargs):
        if request.user.is_authenticated:
            self.submission = get_object_or_404(self.get_queryset(), pk=kwargs["pk"])
            require_here(request.user, self.submission)
            if self.submission.author_id == request.user.pk:
                messages.error(request, "You wrote it: somebody else of the department decides.")
                return redirect(self.submission.get_absolute_url())
        return super().dispatch(request, *args, **kwargs)

    def get_context_data(self, **context):
        told = {"question": f"Refuse {self.submission}?", "submit_label": "Refuse", "danger": True}
        return super().get_context_data(cancel_url=self.submission.get_absolute_url(), **told, **context)

    def save(self, form):
        return submission_refuse(
            submission=self.submission, by=self.request.user, reason=form.cleaned_data["reason"]
        )

    def success_message(self, row):
        return f"Refused {row}; {row.author} reads why."
