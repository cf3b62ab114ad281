"""An inventory file: uploaded, looked at, confirmed; samples of each format, and machines as files again."""

from pathlib import Path

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils.text import slugify
from django.views.decorators.http import require_POST

from analyzer import importers
from analyzer.domain.inventory import FORMATS
from analyzer.forms import InventoryConfirmForm, InventoryForm
from analyzer.importers.read import MAX_BYTES
from analyzer.models import InventoryUpload, SourceEndpoint
from analyzer.permissions import may
from analyzer.services.inventory import (
    Change,
    changes_of,
    content_of,
    inventory_confirm,
    inventory_discard,
    inventory_preview,
)
from analyzer.services.inventory_export import EXPORTS, source_lines
from analyzer.views.answers import saved, told
from analyzer.views.sources import source_or_404
from personas.models import Role

SAMPLES = {each.stem: each for each in (Path(importers.__file__).parent / "samples").iterdir()}
OUTCOMES = {"added": "New", "changed": "Changed", "kept": "As it is"}
MOST_ERRORS = 200  # of a page; who has more mends these first


def _source_or_403(request, pk) -> SourceEndpoint:
    source = source_or_404(request, pk)
    if not may(request.user, source.department, Role.OPERATOR):
        raise PermissionDenied
    return source


@login_required
def source_import(request, pk):
    source = _source_or_403(request, pk)
    if not source.is_inventory:
        messages.error(request, f"{source} is a directory of images: import into a source of its own.")
        return redirect("analyzer:source_detail", pk=pk)
    form = InventoryForm(request.POST, request.FILES) if request.method == "POST" else InventoryForm()
    if request.method == "POST" and form.is_valid():
        file = form.cleaned_data["file"]
        data = file.read(MAX_BYTES + 1)
        by = request.user
        if saved(
            request, form, lambda: inventory_preview(source=source, data=data, file_name=file.name, by=by)
        ):
            return redirect("analyzer:source_import", pk=pk)
    upload = InventoryUpload.objects.filter(source=source).first()
    context = {"source": source, "form": form, "samples": {each: FORMATS[each] for each in FORMATS}}
    return render(request, "analyzer/source_import.html", context | _preview(request, source, upload))


def _preview(request, source: SourceEndpoint, upload: InventoryUpload | None) -> dict:
    if upload is None:
        return {"upload": None}
    content = content_of(upload)
    changes = changes_of(source, content)
    counts = {outcome: sum(each.outcome == outcome for each in changes) for outcome in OUTCOMES}
    return {
        "upload": upload,
        "format": FORMATS[content.format],
        "errors": content.errors[:MOST_ERRORS],
        "error_count": len(content.errors),
        "left_out": content.left_out,
        "machine_count": len(changes),
        "page_obj": Paginator(_narrowed(request, changes), 25).get_page(request.GET.get("page")),
        "outcomes": [(key, label, counts[key]) for key, label in OUTCOMES.items()],
        "search": request.GET.get("search", ""),
        "outcome": request.GET.get("outcome", ""),
        "confirm_form": InventoryConfirmForm(),
    }


def _narrowed(request, changes: list[Change]) -> list[Change]:
    wanted, outcome = request.GET.get("search", "").strip().lower(), request.GET.get("outcome", "")
    return [
        each
        for each in changes
        if wanted in f"{each.machine.name} {each.machine.hostname}".lower() and outcome in ("", each.outcome)
    ]


@login_required
@require_POST
def source_import_confirm(request, pk):
    source = _source_or_403(request, pk)
    upload = _upload_or_404(source)
    form = InventoryConfirmForm(request.POST)
    complete = form.is_valid() and form.cleaned_data["complete"]

    def act():
        report = inventory_confirm(upload=upload, by=request.user, complete=complete)
        told_of = f"{report['added']} new, {report['changed']} changed, {report['kept']} as they were"
        messages.success(
            request, f"{upload.file_name} was imported: {told_of}, {len(report['errors'])} left out."
        )

    done = told(request, act)
    return redirect("analyzer:source_detail" if done else "analyzer:source_import", pk=pk)


@login_required
@require_POST
def source_import_discard(request, pk):
    upload = _upload_or_404(_source_or_403(request, pk))
    told(
        request,
        lambda: inventory_discard(upload=upload, by=request.user),
        "The file was put away; nothing changed.",
    )
    return redirect("analyzer:source_import", pk=pk)


def _upload_or_404(source: SourceEndpoint) -> InventoryUpload:
    upload = InventoryUpload.objects.filter(source=source).select_related("source__department").first()
    if upload is None:
        raise Http404
    return upload


@login_required
def source_export(request, pk, file_format):
    source = source_or_404(request, pk)
    if file_format not in EXPORTS:
        raise Http404
    response = HttpResponse(
        "".join(source_lines(source, file_format)), content_type="text/csv; charset=utf-8"
    )
    name = f"{slugify(source.name) or 'machines'}-{file_format}.csv"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


@login_required
def inventory_sample(request, file_format):
    if file_format not in SAMPLES:
        raise Http404
    path = SAMPLES[file_format]
    response = HttpResponse(path.read_bytes(), content_type="application/octet-stream")
    response["Content-Disposition"] = f'attachment; filename="sample-{path.name}"'
    return response
