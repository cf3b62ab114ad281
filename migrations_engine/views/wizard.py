"""The wizard: machine, persona, template, plan. What was chosen stands in the URL, so a page can be shared and left.
Nothing is stored before the start."""

import uuid

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.paginator import Paginator
from django.db.models import Q
from django.http import Http404, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from analyzer.models import VirtualMachine
from analyzer.models.recommendation import RecommendationState
from analyzer.services.vm_personas import personas_for, use_cases_of
from migrations_engine import pipeline
from migrations_engine.domain.concerns import Severity
from migrations_engine.domain.settings_path import leaf
from migrations_engine.forms import LaunchForm
from migrations_engine.models.run import MODES
from migrations_engine.services.cutover import modes_of
from migrations_engine.services.launch import launch_arguments
from migrations_engine.services.lookup import find
from migrations_engine.services.plan import plan_make
from migrations_engine.services.repeats import changes_left, repeated_run
from migrations_engine.services.runs import Blocked, run_replayed
from migrations_engine.services.targets import default_target
from migrations_engine.services.warm import rest_s
from migrations_engine.views.refusals import require_operator
from migrations_engine.views.runs import PAGE_ROWS, concern_groups
from personas.domain.canonical import sha256_of
from personas.domain.settings import InvalidSettings
from personas.domain.storable import UNSTORABLE
from personas.errors import BadInput, Missing, NotAllowed, Refused, Stale
from personas.models import Department, Persona
from templates_app.models import MigrationTemplate

ACCEPT = "accept-"
MODE_NAMES = dict(MODES)
STEPS = (("vm", "Machine"), ("persona", "Persona"), ("template", "Template"), ("plan", "Plan"))


@login_required
@require_http_methods(["GET", "POST"])
def wizard(request):
    """The first step that is not answered yet; `step=` goes back to one that is."""
    if not Department.objects.operable_by(request.user).exists():
        raise PermissionDenied("Starting a migration needs the role operator.")
    chosen = Choice(request)
    if chosen.vm is None:
        return choose_vm(request, chosen)
    require_operator(request.user, chosen.vm.department)
    if request.GET.get("step") == "persona" or not chosen.has_persona:
        return choose_persona(request, chosen)
    if request.GET.get("step") == "template" or chosen.template is None:
        return choose_template(request, chosen)
    return show_plan(request, chosen)


class Choice:
    """What the URL says: vm, persona (again for several, the last wins) or use_case or alone=1, template."""

    def __init__(self, request):
        given = request.GET
        self.by = request.user
        try:
            self.vm = self._find(VirtualMachine, given.get("vm"), "vm")
            self.personas = [self._find(Persona, id, "persona") for id in given.getlist("persona")]
            self.template = self._find(MigrationTemplate, given.get("template"), "template")
        except (Missing, BadInput) as error:
            raise Http404(error.message) from error
        self.use_case, self.alone = given.get("use_case", "")[:80], given.get("alone") == "1"

    def _find(self, model, id, field):
        return find(model, id, by=self.by, field=field) if id else None

    @property
    def has_persona(self) -> bool:
        return bool(self.personas or self.use_case or self.alone)

    def url(self, step: str = "", **changes) -> str:
        """The wizard with these choices, changed; None takes a choice back."""
        now = {
            "vm": self.vm and self.vm.pk,
            "persona": [p.pk for p in self.personas],
            "use_case": self.use_case,
            "alone": "1" if self.alone else "",
            "template": self.template and self.template.pk,
            "step": step,
        } | changes
        query = QueryDict(mutable=True)
        for name, value in now.items():
            query.setlist(name, [str(v) for v in (value if isinstance(value, list) else [value]) if v])
        return f"{reverse('migrations_engine:run_create')}?{query.urlencode()}"

    def steps(self, current: str) -> list[dict]:
        urls = {
            "vm": self.url(vm=None),
            "persona": self.url("persona"),
            "template": self.url("template"),
            "plan": "",
        }
        names = [name for name, _ in STEPS]
        at = names.index(current)
        return [
            {
                "label": label,
                "url": urls[name],
                "state": ("done" if n < at else "current" if n == at else "todo"),
            }
            for n, (name, label) in enumerate(STEPS)
        ]


def choose_vm(request, chosen):
    rows = VirtualMachine.objects.operable_by(request.user).filter(missing_since__isnull=True)
    search = UNSTORABLE.sub("", request.GET.get("search", "")).strip()
    if search:
        rows = rows.filter(
            Q(name__icontains=search) | Q(hostname__icontains=search) | Q(os_id__icontains=search)
        )
    page = Paginator(rows.select_related("source", "department").prefetch_related("disks"), PAGE_ROWS)
    page = page.get_page(request.GET.get("page"))
    for vm in page:
        vm.url = chosen.url(vm=vm.pk)
        vm.without_disk = not any(disk.path for disk in vm.disks.all())
    context = {"page_obj": page, "steps": chosen.steps("vm"), "search": search}
    return render(request, "migrations_engine/wizard_vm.html", context)


def choose_persona(request, chosen):
    """Picked personas come as `pick` with `order-<id>`; they leave as `persona=…&persona=…`, the last one wins."""
    picked = request.GET.getlist("pick")
    if picked:
        ordered = sorted(picked, key=lambda id: _number(request.GET.get(f"order-{id}")))
        return redirect(chosen.url(persona=ordered, use_case="", alone=""))
    rows = Persona.objects.visible_to(request.user).active()
    ours = Q(department=chosen.vm.department) | Q(department__isnull=True)
    context = {
        "vm": chosen.vm,
        "steps": chosen.steps("persona"),
        "suggestions": suggestions(chosen),
        "use_cases": [
            {
                "name": name,
                "personas": personas_for(chosen.vm, name),
                "url": chosen.url(use_case=name, persona=[], alone=""),
            }
            for name in use_cases_of(chosen.vm)
        ],
        "personas": list(
            rows.filter(ours).select_related("resource_allocation_profile", "default_driver_set")
        ),
        "chosen_ids": [p.pk for p in chosen.personas],
        "kept": [
            (name, value)
            for name, value in (("vm", chosen.vm.pk), ("template", request.GET.get("template")))
            if value
        ],
        "nothing_picked": "go" in request.GET,
        "alone_url": chosen.url(alone="1", persona=[], use_case=""),
    }
    return render(request, "migrations_engine/wizard_persona.html", context)


def _number(text) -> int:
    try:
        return int(text or 0)
    except ValueError:
        return 0


def suggestions(chosen) -> list[dict]:
    """The best of the newest recommendation that nobody dismissed: [{name, score, for, against, url}]."""
    rows = chosen.vm.recommendations.exclude(state=RecommendationState.DISMISSED)
    newest = rows.order_by("-created_at").first()
    ranking = newest.ranking[:2] if newest and newest.persona_id else []
    usable = set(Persona.objects.visible_to(chosen.by).active().values_list("pk", flat=True))
    return [
        {**entry, "url": chosen.url(persona=[entry["persona"]], use_case="", alone="")}
        for entry in ranking
        if any(str(pk) == str(entry["persona"]) for pk in usable)
    ]


def choose_template(request, chosen):
    ours = Q(department=chosen.vm.department) | Q(department__isnull=True)
    rows = (
        MigrationTemplate.objects.visible_to(request.user)
        .active()
        .filter(ours)
        .select_related("persona", "department")
    )
    templates = [
        {"row": row, "url": chosen.url(template=row.pk), "fits": row.persona in chosen.personas}
        for row in rows
    ]
    templates.sort(key=lambda entry: not entry["fits"])
    context = {"vm": chosen.vm, "steps": chosen.steps("template"), "templates": templates, "chosen": chosen}
    return render(request, "migrations_engine/wizard_template.html", context)


def show_plan(request, chosen):
    form = LaunchForm(request.POST or _first(chosen), by=request.user, department=chosen.vm.department)
    plan, run = None, None
    if form.is_valid():
        plan, run = _planned(request, chosen, form)
    if run is not None:
        return redirect("migrations_engine:run_detail", pk=run.pk)
    context = {
        "form": form,
        "steps": chosen.steps("plan"),
        "chosen": chosen,
        "vm": chosen.vm,
        "again_url": chosen.url(),
    }
    if plan is not None:
        context |= plan_context(plan, chosen.vm)
    status = 400 if request.method == "POST" and form.errors else 200
    return render(request, "migrations_engine/wizard_plan.html", context, status=status)


def _first(chosen) -> dict:
    target = default_target(department=chosen.vm.department, by=chosen.by)
    fits = next((mode for mode, why in modes_of(chosen.vm).items() if not why), "")
    return {"target": str(target.pk) if target else "", "overrides": "", "mode": fits}


def _planned(request, chosen, form):
    """(plan, run): the run only where "start" was pressed and nothing stood against it."""
    asked = {
        "vm": chosen.vm.pk,
        "template": chosen.template.pk,
        "personas": [persona.pk for persona in chosen.personas],
        "use_case": chosen.use_case,
        "overrides": form.cleaned_data["overrides"],
        "target": form.cleaned_data["target"].pk,
    }
    try:
        starts = request.method == "POST" and request.POST.get("action") == "start"
        if starts and (earlier := run_replayed(by=request.user, **_once(request, form.cleaned_data))):
            return None, earlier
        arguments = launch_arguments(asked, by=request.user)
        if chosen.alone:
            arguments["personas"] = []
        if starts:
            return None, _started(request, arguments, form.cleaned_data)
        return plan_make(**arguments), None
    except NotAllowed as error:
        raise PermissionDenied(error.message) from error
    except (Stale, Blocked) as error:
        form.add_error(None, error.message)
        return plan_make(**arguments), None
    except BadInput as error:
        for field, told in error.errors.items():
            if field == "mode":
                form.add_error("mode", told)
                continue
            form.add_error(
                _field(form, field), told if field in form.fields else [f"{field}: {text}" for text in told]
            )
    except (Refused, InvalidSettings, ValidationError) as error:
        form.add_error(None, str(error))
    return None, None


def _field(form, name: str) -> str | None:
    """Beside which field an error stands; None: above the form."""
    return "overrides" if name.startswith("overrides") else name if name in form.fields else None


def _once(request, cleaned) -> dict[str, str]:
    """The key of the page that was shown, and what was sent from it: a button pressed twice starts one run."""
    sent = request.POST.copy()
    sent.pop("csrfmiddlewaretoken", None)
    key = f"page-{cleaned['launch_key']}" if cleaned["launch_key"] else ""
    return {"key": key, "request_sha256": sha256_of([request.GET.urlencode(), sent.urlencode()])}


def _started(request, arguments, cleaned):
    once = _once(request, cleaned)
    return pipeline.run_start(
        **arguments,
        plan_sha256=cleaned["plan_sha256"] or None,
        idempotency_key=once["key"],
        request_sha256=once["request_sha256"],
        terms=cleaned["terms"],
        acknowledged=accepted(request.POST),
        drill=cleaned.get("drill", ""),
    )


def accepted(posted) -> dict[str, str]:
    """Reasons that were written beside Warnings, by the Warning's id."""
    given = {name.removeprefix(ACCEPT): reason[:500] for name, reason in posted.items() if name.startswith(ACCEPT)}
    return {id: reason for id, reason in given.items() if reason.strip()}


def plan_context(plan, vm: VirtualMachine) -> dict:
    document, repeated = plan.document, repeated_run(plan)
    return {
        "repeated": repeated,
        "plan": document,
        "plan_sha256": plan.sha256,
        "launch_key": uuid.uuid4(),
        "concern_groups": concern_groups(plan.concerns),
        "blockers": plan.blockers,
        "warm_rest_s": rest_s(vm) if not document["modes"]["warm"] else None,
        "is_warm_possible": not document["modes"]["warm"],
        "modes_out": [(MODE_NAMES[mode], why) for mode, why in document["modes"].items() if why],
        "warnings": [concern for concern in plan.concerns if concern["severity"] == Severity.WARNING],
        "changes": changes_left(plan, repeated),
        "timeout_s": leaf(document["merged"]["merged"], "post_migration.timeout_s", 600),
    }
