import math
from datetime import timedelta
from pathlib import Path

import django_filters
from django import forms
from django.contrib import messages
from django.contrib.auth import get_user_model
from django.core.paginator import Paginator
from django.http import HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.template import engines
from django.utils import timezone

from config.states import STATES

User = get_user_model()


TEMPLATES = Path(__file__).parent / "templates" / "gallery"


def gallery(request, name, **context):
    template = engines["django"].from_string((TEMPLATES / name).read_text())
    return HttpResponse(template.render(context, request))


LOG = "\n".join(f"12:{n // 60:02}:{n % 60:02}  copied {n * 17} of 1717 MiB" for n in range(101))


def components(request):
    messages.success(request, "Persona “DatabaseAdmin” is saved.")
    messages.error(request, "The source does not answer.")
    now = timezone.now()
    steps = [{"label": "Machine", "state": "done", "url": "/gallery/"}, {"label": "Persona", "state": "done"},
             {"label": "Plan", "state": "current"}, {"label": "Run", "state": "todo"}]
    tabs = [{"label": "Overview", "url": "?", "current": True}, {"label": "Packages", "url": "?p", "count": 246},
            {"label": "Usage", "url": "?u"}]
    context = {"states": STATES, "log": LOG, "steps": steps, "tabs": tabs, "now": now,
               "earlier": now - timedelta(minutes=5), "script": "#!/bin/sh\nset -eu\nsysctl -w vm.swappiness=10\n"}
    return gallery(request, "components.html", **context)


class Users(django_filters.FilterSet):
    search = django_filters.CharFilter("username", "icontains")
    is_staff = django_filters.BooleanFilter(label="Staff")
    ordering = django_filters.OrderingFilter(fields=["username", "date_joined"])

    class Meta:
        model = User
        fields = ["search", "is_staff", "ordering"]


def listing(request):
    chosen = Users(request.GET, User.objects.order_by("username"))
    page = Paginator(chosen.qs, 10).get_page(request.GET.get("page"))
    return gallery(request, "list.html", filter=chosen, page_obj=page)


class Example(forms.Form):
    name = forms.CharField(max_length=20, help_text="As people will find it.")
    vcpus = forms.IntegerField(label="vCPUs", min_value=1, max_value=512)
    firmware = forms.ChoiceField(choices=[("keep", "Keep the source's"), ("bios", "BIOS"), ("uefi", "UEFI")])
    tags = forms.JSONField(initial={"cost-centre": "4711"}, help_text="A JSON object.")
    script = forms.CharField(widget=forms.Textarea, required=False)
    groups = forms.MultipleChoiceField(choices=[("db", "db-internal"), ("web", "web")], required=False,
                                       widget=forms.CheckboxSelectMultiple)
    must_pass = forms.BooleanField(required=False, label="The script must pass")


def form(request):
    bound = Example(request.POST or None)
    if request.method == "POST" and bound.is_valid():
        messages.success(request, "Saved.")
        return redirect("/gallery/form/")
    return gallery(request, "form.html", form=bound, cancel_url="/gallery/")


def confirm(request):
    if request.method == "POST":
        messages.success(request, "Gone.")
        return redirect("/gallery/list/")
    context = {
        "question": "Delete the persona “WebDev”?",
        "submit_label": "Delete",
        "danger": True,
        "cancel_url": "/gallery/list/",
    }
    return render(request, "components/confirm_page.html", context)


def live(request):
    """One step further at each request; the last answer is 286."""
    step = request.session["step"] = request.session.get("step", 0) + 1
    return HttpResponse(f"<p>Step {step}</p>", status=286 if step >= 3 else 200)


def chart(request):
    """A day of a machine that works from nine to five, with a hole where nothing was measured."""
    times = range(1_790_000_000, 1_790_000_000 + 86_400, 300)
    cpu = [None if 40 < n < 60 else round(30 + 25 * math.sin(n / 30) + n % 7, 1) for n in range(len(times))]
    return JsonResponse({"x": list(times), "series": [{"label": "CPU", "values": cpu}],
                         "lines": [{"label": "p95", "value": 54}], "note": "One day, every 5 min."})


def crash(request):
    raise RuntimeError("broken on purpose")
