"""A form about one row, on a page that asks first."""

from django.core.exceptions import PermissionDenied
from django.shortcuts import get_object_or_404

from marketplace.views.listings import Market
from personas.views.base import FormPage, require_here


class RowForm(Market, FormPage):
    """Subclasses give model, form and `save`; `check` refuses who may not."""

    template_name = "components/confirm_page.html"
    question = "{row}?"
    submit_label = "Save"
    danger = False

    def dispatch(self, request, *args, **kwargs):
        if request.user.is_authenticated:
            self.row = get_object_or_404(self.get_queryset(), pk=kwargs["pk"])
        return super().dispatch(request, *args, **kwargs)

    def get_context_data(self, **context):
        told = {"submit_label": self.submit_label, "danger": self.danger, "cancel_url": self.back()}
        return super().get_context_data(
            question=self.question.format(row=self.row), row=self.row, **told, **context
        )

    def back(self) -> str:
        return self.row.get_absolute_url()

    def success_url_of(self, row):
        return self.back()


class OwnRowForm(RowForm):
    """For an admin of the row's department."""

    def dispatch(self, request, *args, **kwargs):
        if request.user.is_authenticated:
            require_here(request.user, get_object_or_404(self.get_queryset(), pk=kwargs["pk"]))
        return super().dispatch(request, *args, **kwargs)


class ModeratorForm(RowForm):
    """For a superuser; who sees the row and is none is told so."""

    def dispatch(self, request, *args, **kwargs):
        if request.user.is_authenticated:
            get_object_or_404(self.get_queryset(), pk=kwargs["pk"])
            if not request.user.is_superuser:
                raise PermissionDenied("Only a superuser moderates the marketplace.")
        return super().dispatch(request, *args, **kwargs)
