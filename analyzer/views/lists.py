"""A list page: the rows that the reader may see, searched, narrowed, sorted, in pages."""

from django.contrib.auth.mixins import LoginRequiredMixin
from django.http import HttpRequest
from django_filters.views import FilterView


class VisibleList(LoginRequiredMixin, FilterView):
    """Subclasses give queryset, filterset_class and template_name."""

    request: HttpRequest
    paginate_by = 25
    strict = False  # a filter that makes no sense narrows nothing; its error stands beside it

    def get_queryset(self):
        return super().get_queryset().visible_to(self.request.user)
