"""Going one's own way with a release, and taking over what changes upstream."""

from django.core.exceptions import PermissionDenied
from django.shortcuts import get_object_or_404

from marketplace.domain.licences import allows_derivatives
from marketplace.installing_forms import ForkUpdateForm
from marketplace.services.forks import fork_create, fork_merge, fork_update
from marketplace.views.installing import Install, Update


class Fork(Install):
    template_name = "marketplace/fork.html"

    def dispatch(self, request, *args, **kwargs):
        if request.user.is_authenticated:
            release = get_object_or_404(self.get_queryset(), pk=kwargs["pk"])
            if not allows_derivatives(release.licence):
                raise PermissionDenied(f"Its licence {release.licence} does not allow a fork.")
        return super().dispatch(request, *args, **kwargs)

    def get_context_data(self, **context):
        return super().get_context_data(**context) | {"submit_label": "Fork"}

    def save(self, form):
        return fork_create(release=self.release, by=self.request.user, **form.installation())

    def success_message(self, row):
        return f"Forked {row.release} as “{row.persona}”: change it as you like, updates are merged into it."


class ForkUpdate(Update):
    form_class = ForkUpdateForm
    template_name = "marketplace/fork_update.html"
    of_forks = True

    def merge(self):
        return fork_merge(installation=self.installation, release=self.release)

    def get_form_kwargs(self):
        return {**super().get_form_kwargs(), "conflicts": self.merge().conflicts}

    def get_context_data(self, **context):
        return super().get_context_data(merge=self.merge(), **context)

    def save(self, form):
        return fork_update(
            installation=self.installation,
            release=self.release,
            by=self.request.user,
            choices=form.choices(),
            approved_script_sha256=form.approval(),
            secrets=form.secrets(),
            parameters=form.parameters(),
        )
