"""The merge preview: a template, personas in an order, what they come to, and where each value is from."""

import json
import uuid
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.safestring import mark_safe
from django.views.decorators.http import require_GET

from personas.domain.settings import InvalidSettings
from personas.models import Persona
from templates_app.domain.merge import Merged
from templates_app.domain.origin_table import who_of
from templates_app.forms import MergeForm
from templates_app.models import MigrationTemplate
from templates_app.services.merging import merge_for, personas_of, template_layer

SWAP = mark_safe(
    'hx-boost="true" hx-target="#merge" hx-select="#merge" hx-swap="outerHTML show:none" hx-push-url="true"'
)
"""Renews the preview only; the server answers with the whole page as ever."""


@login_required
@require_GET
def merge_preview(request, pk):
    template = _template(request, pk)
    chosen = _chosen(request)
    form = MergeForm(request.GET, user=request.user)
    merged, wrong = _merged(request, template, chosen, form)
    context = {
        "template": template,
        "template_who": who_of(template_layer(template).label),
        "swap": SWAP,
        "form": form,
        "chosen": [_step(request, chosen, at) for at in range(len(chosen))],
        "implied": [] if chosen else personas_of(template, (), request.user),
        "offered": Persona.objects.visible_to(request.user).active().exclude(pk__in=[p.pk for p in chosen]),
        "merged": merged.as_dict() if merged else None,
        "wrong": wrong,
        "only_changed": bool(form.cleaned_data.get("only_changed")) if form.is_valid() else False,
        "json_url": f"{reverse('templates_app:template_merge_json', args=[pk])}?{request.GET.urlencode()}",
    }
    return render(request, "templates_app/merge_preview.html", context)


@login_required
@require_GET
def merge_json(request, pk):
    """The same merge as a file: what `POST /api/v1/merge/` answers."""
    template, form = _template(request, pk), MergeForm(request.GET, user=request.user)
    merged, wrong = _merged(request, template, _chosen(request), form)
    if merged is None:
        return HttpResponse("\n".join(wrong), status=400, content_type="text/plain; charset=utf-8")
    return HttpResponse(
        json.dumps(merged.as_dict(), indent=2, ensure_ascii=False),
        content_type="application/json",
        headers={"Content-Disposition": f'attachment; filename="merge-{template.slug}.json"'},
    )


def _merged(request, template, chosen, form) -> tuple[Merged | None, list[str]]:
    """The merge, or what is wrong in sentences."""
    if not form.is_valid():
        return None, [f"{field}: {error}" for field, told in form.errors.items() for error in told]
    overrides = form.cleaned_data["overrides"]
    if not isinstance(overrides, dict):
        return None, ["overrides: write a mapping, as in resources: {vcpus: 8}"]
    try:
        return merge_for(
            template=template,
            personas=chosen,
            department=form.cleaned_data["department"],
            overrides=overrides,
            user=request.user,
        ), []
    except InvalidSettings as error:
        return None, error.lines()


def _template(request, pk) -> MigrationTemplate:
    return get_object_or_404(MigrationTemplate.objects.visible_to(request.user), pk=pk)


def _chosen(request) -> list[Persona]:
    """The personas of the query, low to high, each once; 404 for one that the reader does not see."""
    asked = list(dict.fromkeys(filter(None, request.GET.getlist("persona"))))
    rows = {str(row.pk): row for row in Persona.objects.visible_to(request.user).filter(pk__in=_ids(asked))}
    if set(asked) - set(rows):
        raise Http404("No such persona.")
    return [rows[one] for one in asked]


def _ids(asked: list[str]) -> list[uuid.UUID]:
    try:
        return [uuid.UUID(one) for one in asked]
    except ValueError:
        raise Http404("No such persona.") from None


def _step(request, chosen: list[Persona], at: int) -> dict:
    """One chosen persona with the addresses that move it or take it out."""
    others = [*chosen[:at], *chosen[at + 1 :]]
    return {
        "persona": chosen[at],
        "number": at + 1,
        "lower_url": _url(request, _swapped(chosen, at, at - 1)) if at else "",
        "higher_url": _url(request, _swapped(chosen, at, at + 1)) if at + 1 < len(chosen) else "",
        "without_url": _url(request, others),
    }


def _swapped(rows: list, one: int, other: int) -> list:
    swapped = list(rows)
    swapped[one], swapped[other] = rows[other], rows[one]
    return swapped


def _url(request, chosen: list[Persona]) -> str:
    kept = [
        (name, value)
        for name in request.GET
        for value in request.GET.getlist(name)
        if name != "persona" and value
    ]
    return f"{request.path}?{urlencode([*(('persona', str(row.pk)) for row in chosen), *kept])}"
