"""The admin of this product; it stands in for Django's by `config.apps.ProductAdminConfig`."""

from django.contrib import admin
from django.contrib.auth.views import PasswordChangeView
from django.urls import reverse

from personas.forms.passwords import OwnPasswordForm


class Site(admin.AdminSite):
    def password_change(self, request, extra_context=None):
        """Django's, with a form that writes through the service."""
        request.current_app = self.name
        return PasswordChangeView.as_view(
            form_class=OwnPasswordForm,
            success_url=reverse("admin:password_change_done"),
            extra_context={**self.each_context(request), **(extra_context or {})},
        )(request)
