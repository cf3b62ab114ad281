"""Below `/api/` an error is a problem, also when Django itself answers (no such URL, wrong method, a crash). Every
answer names its request's id."""

import re
import uuid

import structlog
from django.conf import settings
from django.core.exceptions import RequestDataTooBig, SuspiciousOperation, TooManyFieldsSent
from django.http import Http404
from django.shortcuts import render

from config.problems import CONTENT_TYPE, TITLES, problem_response

log = structlog.get_logger(__name__)


REQUEST_ID = "HTTP_X_REQUEST_ID"
SANE_ID = re.compile(
    r"[!-~]{1,64}"
)  # it goes into log lines, and into a column of the audit trail of this size


class RequestIdMiddleware:
    """The id of log lines and audit rows: the client's own where it is short and printable, else a new one."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        if not SANE_ID.fullmatch(request.META.get(REQUEST_ID, "")):
            request.META[REQUEST_ID] = str(uuid.uuid4())
        response = self.get_response(request)
        response["X-Request-ID"] = request.META[REQUEST_ID]
        return response


class ApiProblemMiddleware:
    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        response = self.get_response(request)
        if self._is_foreign_error(request, response):
            title = TITLES.get(response.status_code, response.reason_phrase)
            response.content = problem_response(response.status_code, title).content
            response["Content-Type"] = CONTENT_TYPE
            response["Content-Length"] = str(len(response.content))
        return response

    def process_exception(self, request, error):
        if not request.path.startswith("/api/") or isinstance(error, Http404):
            return None
        if isinstance(error, SuspiciousOperation):
            return problem_response(*_refusal(error))
        log.exception("api_error", path=request.path)
        told = "Something unforeseen; it is in the log under this request's id."
        return problem_response(500, told, request_id=request.META[REQUEST_ID])

    @staticmethod
    def _is_foreign_error(request, response):
        return request.path.startswith("/api/") and response.status_code >= 400 and not _is_problem(response)


def _refusal(error: SuspiciousOperation) -> tuple[int, str]:
    """Status and detail. Django's own words name settings and paths, so of those only the kind is told."""
    if isinstance(error, RequestDataTooBig):
        return 413, f"The body may hold {settings.DATA_UPLOAD_MAX_MEMORY_SIZE // 2**20} MiB."
    if isinstance(error, TooManyFieldsSent):
        return 400, f"A request may hold {settings.DATA_UPLOAD_MAX_NUMBER_FIELDS} parameters."
    return 400, TITLES[400]


def _is_problem(response) -> bool:
    """By its body too: DRF keeps the problem's type on the line of text that an HTML view answers with."""
    return response.get("Content-Type", "").startswith(CONTENT_TYPE) and response.content.startswith(b"{")


class WrongMethodPageMiddleware:
    """A page instead of a blank 405: whoever logs in again after pressing a button is led to its address by GET."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        response = self.get_response(request)
        if response.status_code != 405 or response.content or request.method != "GET":
            return response
        page = render(request, "405.html", status=405)
        page["Allow"] = response["Allow"]
        return page
