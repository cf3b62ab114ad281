"""The estate at a glance: the map, one cell of it, one persona for many machines, and who has outgrown theirs."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.shortcuts import redirect, render
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST

from analyzer.domain.map_picture import circles, drawing, places, size
from analyzer.filters import FingerprintFilter
from analyzer.forms import ManyForm
from analyzer.models import Fingerprint, VirtualMachine
from analyzer.services.estate import (
    MOST_AT_ONCE,
    assign_preview,
    estate_of,
    machines_in,
    vms_assign,
)
from analyzer.views.lists import VisibleList
from personas.errors import BadInput, NotAllowed
from personas.models import Persona

MOST_ROWS = 200  # of the table beside the map


@login_required
def estate(request):
    found = estate_of(request.user)
    drawn, legend = circles(found.cells)
    largest = sorted(drawn, key=lambda each: -each.count)[:MOST_ROWS]
    width, height = size()
    context = {
        "circles": drawn,
        "drawing": SafeString(drawing(drawn)),  # escapes its labels
        "legend": legend,
        "places": places(found.kinds),
        "largest": largest,
        "width": width,
        "height": height,
        "counted_at": found.counted_at,
    }
    return render(request, "analyzer/estate.html", context)


@login_required
def estate_cell(request, x: int, y: int):
    machines = Paginator(machines_in(request.user, x=x, y=y), 100)
    context = {
        "page_obj": machines.get_page(request.GET.get("page")),
        "personas": Persona.objects.visible_to(request.user).active().order_by("name"),
        "x": x,
        "y": y,
    }
    return render(request, "analyzer/estate_cell.html", context)


@login_required
@require_POST
def vms_assign_view(request):
    """First what it would do, then, with `confirmed`, does it."""
    form = ManyForm(request.POST, personas=Persona.objects.visible_to(request.user).active())
    if not form.is_valid():
        messages.error(request, "Tick machines, and choose a persona for them.")
        return redirect("analyzer:estate")
    persona, ticked = form.cleaned_data["persona"], form.cleaned_data["vm"][:MOST_AT_ONCE]
    rows = VirtualMachine.objects.visible_to(request.user).filter(pk__in=ticked)
    machines = list(
        rows.select_related("department").prefetch_related("vm_personas__persona").order_by("name")
    )
    if not form.cleaned_data["confirmed"]:
        preview = assign_preview(machines=machines, persona=persona, by=request.user)
        return render(request, "analyzer/assign_preview.html", _preview(persona, preview))
    try:
        count = vms_assign(machines=machines, persona=persona, by=request.user)
    except NotAllowed as error:
        raise PermissionDenied(error.message) from None
    except BadInput as error:
        messages.error(request, " ".join(error.errors["vm"]))
    else:
        messages.success(request, f"{count} machine{'s carry' if count > 1 else ' carries'} {persona} now.")
    return redirect("analyzer:estate")


def _preview(persona: Persona, rows: list[dict]) -> dict:
    fitting = [row for row in rows if not row["why_not"]]
    noun = "this machine" if len(fitting) == 1 else f"these {len(fitting)} machines"
    return {
        "question": f"Give {persona} to {noun}?",
        "persona": persona,
        "rows": rows,
        "blocked": not fitting,
        "submit_label": "Assign",
    }


class OutgrownList(VisibleList):
    queryset = (
        Fingerprint.objects.outgrown()
        .select_related("vm", "persona")
        .prefetch_related("vm__vm_personas__persona")
        .order_by("-score", "pk")
    )
    filterset_class = FingerprintFilter
    template_name = "analyzer/outgrown_list.html"
