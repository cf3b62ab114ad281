"""Personas that groups of machines suggest: look, mend, approve or dismiss."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from analyzer.filters import PersonaDraftFilter
from analyzer.forms import PersonaDraftForm
from analyzer.models import PersonaDraft
from analyzer.permissions import may
from analyzer.services.drafts import draft_approve, draft_dismiss, drafts_refresh_asked
from analyzer.views.answers import saved, told
from analyzer.views.lists import VisibleList
from personas.domain.yaml_text import dump_yaml
from personas.models import Department, Role

SHOWN = 200  # members on the page; the rest as a number


class DraftList(VisibleList):
    queryset = PersonaDraft.objects.select_related("department", "like")
    filterset_class = PersonaDraftFilter
    template_name = "analyzer/draft_list.html"

    def get_context_data(self, **context):
        administered = Department.objects.administered_by(self.request.user).exists()
        return super().get_context_data(may_admin=administered, **context)


def draft_or_404(request, pk) -> PersonaDraft:
    rows = PersonaDraft.objects.visible_to(request.user).select_related("department", "like", "persona")
    return get_object_or_404(rows, pk=pk)


@login_required
def draft_detail(request, pk):
    draft = draft_or_404(request, pk)
    context = {
        "draft": draft,
        "may_admin": may(request.user, draft.department, Role.ADMIN),
        "members": draft.members.order_by("name")[:SHOWN],
        "document": dump_yaml(draft.document.get("settings", {})),
    }
    return render(request, "analyzer/draft_detail.html", context)


@login_required
def draft_approve_view(request, pk):
    draft = draft_or_404(request, pk)
    if not may(request.user, draft.department, Role.ADMIN):
        raise PermissionDenied
    form = (
        PersonaDraftForm(request.POST)
        if request.method == "POST"
        else PersonaDraftForm(initial=draft.document)
    )
    if request.method == "POST" and form.is_valid():
        act = lambda: draft_approve(draft=draft, by=request.user, data=form.cleaned_data)  # noqa: E731
        if persona := saved(request, form, act):
            messages.success(request, f"{persona} was created. Its machines are suggested it within minutes.")
            return redirect("analyzer:draft_detail", pk=pk)
    context = {
        "form": form,
        "draft": draft,
        "cancel_url": draft.get_absolute_url(),
        "submit_label": "Create persona",
    }
    return render(request, "analyzer/draft_approve.html", context)


@login_required
def draft_dismiss_view(request, pk):
    draft = draft_or_404(request, pk)
    if not may(request.user, draft.department, Role.ADMIN):
        raise PermissionDenied
    if request.method == "POST":
        told(request, lambda: draft_dismiss(draft=draft, by=request.user), f"{draft} was dismissed.")
        return redirect("analyzer:draft_list")
    question = f"Dismiss the draft {draft}? It is not drafted again."
    context = {"question": question, "submit_label": "Dismiss", "cancel_url": draft.get_absolute_url()}
    return render(request, "components/confirm_page.html", context)


@login_required
@require_POST
def drafts_refresh_view(request):
    """Of every department that the reader administers."""
    departments = list(Department.objects.administered_by(request.user).order_by("name"))
    if not departments:
        raise PermissionDenied
    count = sum(drafts_refresh_asked(department=each, by=request.user) for each in departments)
    messages.success(request, f"{count} draft{'s stand' if count != 1 else ' stands'} open.")
    return redirect("analyzer:draft_list")
