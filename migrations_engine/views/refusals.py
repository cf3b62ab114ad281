"""What a service refuses, told on a page; and which buttons a reader may use."""

from contextlib import contextmanager

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404

from personas.errors import Missing, NotAllowed, Refused
from personas.models import Department


@contextmanager
def refusals_as_messages(request):
    """403 and 404 stay what they are; every other refusal becomes a message on the page that follows."""
    try:
        yield
    except NotAllowed as error:
        raise PermissionDenied(error.message) from error
    except Missing as error:
        raise Http404(error.message) from error
    except Refused as error:
        messages.error(request, error.message)


def may_operate(user, department) -> bool:
    return Department.objects.operable_by(user).filter(pk=department.pk).exists()


def may_administer(user, department) -> bool:
    """The organisation's rows (None) are a superuser's."""
    if department is None:
        return user.is_superuser
    return Department.objects.administered_by(user).filter(pk=department.pk).exists()


def require_operator(user, department) -> None:
    if not may_operate(user, department):
        raise PermissionDenied("This needs the role operator.")


def require_admin(user, department) -> None:
    if not may_administer(user, department):
        raise PermissionDenied("This needs the role admin.")
