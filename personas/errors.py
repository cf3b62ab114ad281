"""Failures that a caller can meet, told the same by page, API and command line. Edges translate; services raise."""

from typing import Any


class Refused(Exception):
    """The request was understood and is refused. `status` is the HTTP status that says so; `extra` goes into the
    problem's body (e.g. `used_by=[{"type", "id", "name"}]`)."""

    status = 409

    def __init__(self, message: str, **extra: Any):
        super().__init__(message)
        self.message, self.extra = message, extra


class InUse(Refused):
    """Something else needs the object: `used_by` lists it."""

    def __init__(self, message: str, *, used_by: list[dict[str, str]]):
        super().__init__(message, used_by=used_by)


class Stale(Refused):
    """The object or plan has changed since it was read."""


class NotAllowed(Refused):
    """The role does not allow this."""

    status = 403


class Missing(Refused):
    """No such object, or not the caller's to see."""

    status = 404


class BadInput(Refused):
    """`errors`: {field: [message]}; fields as the caller named them, dotted when nested."""

    status = 400

    def __init__(self, errors: dict[str, list[str]]):
        super().__init__(
            "; ".join(f"{field}: {' '.join(told)}" for field, told in errors.items()), errors=errors
        )
        self.errors = errors
