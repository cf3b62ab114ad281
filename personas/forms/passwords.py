"""Django's own forms for a password, over the service."""

from django.contrib.admin.forms import AdminPasswordChangeForm as OwnForm
from django.contrib.auth.forms import AdminPasswordChangeForm

from personas.services.users import user_password_set


class PasswordForm(AdminPasswordChangeForm):
    """Another's."""

    def __init__(self, *args, by, **kwargs):
        super().__init__(*args, **kwargs)
        self.by = by

    def save(self, commit=True):
        user_password_set(user=super().save(commit=False), by=self.by)
        return self.user


class OwnPasswordForm(OwnForm):
    def save(self, commit=True):
        user_password_set(user=super().save(commit=False), by=self.user)
        return self.user
