"""RFC 9457 problem+json for every API error. Imports no viewset: DRF reads it while the viewsets are being imported."""

from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, JsonResponse
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import exception_handler as drf_exception_handler
from rest_framework.views import set_rollback

from personas.domain.settings import InvalidSettings
from personas.errors import BadInput, Refused

CONTENT_TYPE = "application/problem+json"
KEPT_HEADERS = ("Allow", "Retry-After", "WWW-Authenticate")
TITLES = {
    400: "Bad request",
    401: "Not logged in",
    402: "Payment required",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    409: "Conflict",
    412: "Changed in between",
    413: "Too large",
    415: "Unsupported media type",
    422: "Not processable",
    428: "Precondition required",
    429: "Too many requests",
    500: "Internal error",
    503: "Not available",
}


def problem(code: int, detail: str = "", **extra: Any) -> dict[str, Any]:
    """{"type", "title", "status", "detail", ...}; `errors` is [{"pointer": "#/resources/vcpus", "detail": ...}]."""
    return {
        "type": "about:blank",
        "title": TITLES.get(code, "Error"),
        "status": code,
        "detail": detail,
        **extra,
    }


def problem_response(code: int, detail: str = "", **extra: Any) -> JsonResponse:
    return JsonResponse(problem(code, detail, **extra), status=code, content_type=CONTENT_TYPE)


def exception_handler(error: Exception, context: dict) -> Response | None:
    """DRF's own handling, told as a problem. What nobody foresaw stays an exception: the middleware answers 500."""
    if isinstance(error, InvalidSettings):
        error = exceptions.ValidationError(
            {e["field"] or "non_field_errors": [e["message"]] for e in error.errors}
        )
    if isinstance(error, BadInput):
        error = exceptions.ValidationError(error.errors)
    if isinstance(error, Refused):
        set_rollback()
        return _response(error.status, error.message, **error.extra)
    if isinstance(error, ValidationError):
        error = exceptions.ValidationError(
            error.message_dict if hasattr(error, "error_dict") else error.messages
        )
    response = drf_exception_handler(error, context)
    if response is None:
        return None
    if isinstance(error, exceptions.ValidationError):
        errors = list(_flat(error.detail))
        told = "; ".join(f"{e['pointer'][2:] or 'body'}: {e['detail']}" for e in errors)
        return _response(400, told, errors=errors)
    if isinstance(error, exceptions.ParseError):
        told = str(error.detail)
        return _response(400, told, errors=[{"pointer": "#/", "detail": told}])
    fixed = {
        Http404: "No such object, or not yours to see.",
        PermissionDenied: "Your role does not allow this.",
    }
    told = fixed.get(type(error)) or str(getattr(error, "detail", error))
    return _response(response.status_code, told, headers=response.headers)


def _response(code: int, detail: str, headers: dict | None = None, **extra: Any) -> Response:
    kept = {name: value for name, value in (headers or {}).items() if name in KEPT_HEADERS}
    return Response(problem(code, detail, **extra), status=code, content_type=CONTENT_TYPE, headers=kept)


def _flat(detail: Any, pointer: str = "#"):
    if isinstance(detail, dict):
        for key, value in detail.items():
            at = (
                pointer
                if key in ("non_field_errors", "__all__")
                else f"{pointer}/{str(key).replace('.', '/')}"
            )
            yield from _flat(value, at)
    elif isinstance(detail, list):
        for index, value in enumerate(detail):
            yield from _flat(value, f"{pointer}/{index}" if isinstance(value, (dict, list)) else pointer)
    else:
        yield {"pointer": pointer if pointer != "#" else "#/", "detail": str(detail)}
