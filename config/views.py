"""Home, and the page that shows every component (while developing)."""

from django.contrib.auth.decorators import login_required
from django.shortcuts import render
from django.utils import timezone

from config import attention
from personas.models import Department


@login_required
def home(request):
    have = attention.estate(request.user, timezone.now())
    steps = attention.first_steps(request.user, have)
    context = {
        "estate": have,
        "may_migrate": Department.objects.operable_by(request.user).exists(),
        "attention": attention.attention(request.user),
        "recent_runs": attention.recent_runs(request.user),
        "first_steps": [] if all(step.done for step in steps) else steps,
    }
    return render(request, "home.html", context)
