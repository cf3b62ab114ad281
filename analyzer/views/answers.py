"""What a service says, told by a page."""

from collections.abc import Callable

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError

from personas.errors import BadInput, Missing, NotAllowed, Refused


def told(request, act: Callable, success: str = "") -> bool:
    """Acts, and leaves a message of the outcome; True when it was done. Raises PermissionDenied for a role too low."""
    try:
        act()
    except NotAllowed as error:
        raise PermissionDenied(error.message) from None
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
        return False
    except Refused as error:
        messages.error(request, error.message)
        return False
    if success:
        messages.success(request, success)
    return True


def saved(request, form, act: Callable):
    """What `act` returns, or None with each error beside its field (what has no field stands on top)."""
    try:
        return act()
    except NotAllowed as error:
        raise PermissionDenied(error.message) from None
    except BadInput as error:
        for field, texts in error.errors.items():
            _add(form, field, texts)
    except ValidationError as error:
        for field, texts in (error.message_dict if hasattr(error, "error_dict") else {"": error.messages}).items():
            _add(form, field, texts)
    except Missing:
        form.add_error(None, "It has been deleted in between.")
    except Refused as error:
        form.add_error(None, error.message)
    return None


def _add(form, field: str, texts: list[str]) -> None:
    """`settings.resources.vcpus` stands beside the field `settings`, with its path."""
    first, _, rest = field.partition(".")
    if first in form.fields:
        form.add_error(first, [f"{rest}: {text}" if rest else text for text in texts])
    else:
        form.add_error(None, [f"{field}: {text}" if field and field != "__all__" else text for text in texts])
