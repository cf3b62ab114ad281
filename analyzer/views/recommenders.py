"""What the recommender of a department has learned, and its switches."""

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods

from analyzer.permissions import may
from analyzer.services.learning import (
    ENOUGH,
    card_of,
    recommender_of,
    recommender_promote,
    recommender_reset,
    recommender_revert,
    recommender_set,
)
from analyzer.views.answers import told
from personas.models import Department, Role

DEEDS = {
    "on": ("It learns and suggests from now on.", lambda **who: recommender_set(enabled=True, **who)),
    "off": ("The fixed rules suggest from now on.", lambda **who: recommender_set(enabled=False, **who)),
    "share": (
        "It learns with the departments that share.",
        lambda **who: recommender_set(shares=True, **who),
    ),
    "alone": ("It learns alone from now on.", lambda **who: recommender_set(shares=False, **who)),
    "shadow": ("It learns in silence from now on.", lambda **who: recommender_set(shadow=True, **who)),
    "promote": ("It suggests from now on.", recommender_promote),
    "reset": ("It begins anew. What was known is kept aside.", recommender_reset),
    "revert": ("It knows again what it knew before.", recommender_revert),
}


@login_required
@require_http_methods(["GET", "POST"])
def recommender_detail(request, pk):
    department = get_object_or_404(Department.objects.visible_to(request.user), pk=pk)
    may_admin = may(request.user, department, Role.ADMIN)
    if request.method == "POST":
        if not may_admin:
            raise PermissionDenied
        if deed := DEEDS.get(request.POST.get("deed", "")):
            told(request, lambda: deed[1](department=department, by=request.user), deed[0])
        return redirect("analyzer:recommender_detail", pk=pk)
    context = {"department": department, "card": card_of(recommender_of(department)), "may_admin": may_admin}
    return render(request, "analyzer/recommender_detail.html", context | {"enough": ENOUGH})
