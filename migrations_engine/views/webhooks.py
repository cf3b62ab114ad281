"""Webhooks: who is told of what happens, with the log of every delivery."""

from functools import partial

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from migrations_engine.filters import WebhookFilter
from migrations_engine.forms import WebhookForm
from migrations_engine.models import Webhook, WebhookDelivery
from migrations_engine.services import webhooks
from migrations_engine.views.refusals import may_administer, refusals_as_messages, require_admin
from migrations_engine.views.runs import PAGE_ROWS
from migrations_engine.views.waves import saved
from personas.models import Department


def _may_create(user) -> bool:
    return user.is_superuser or Department.objects.administered_by(user).exists()


@login_required
@require_GET
def webhook_list(request):
    rows = Webhook.objects.visible_to(request.user).select_related("department")
    found = WebhookFilter(request.GET, queryset=rows, request=request)
    page = Paginator(found.qs, PAGE_ROWS).get_page(request.GET.get("page"))
    context = {"page_obj": page, "filter": found, "may_create": _may_create(request.user)}
    return render(request, "migrations_engine/webhook_list.html", context)


def _visible(request, pk) -> Webhook:
    return get_object_or_404(Webhook.objects.visible_to(request.user).select_related("department"), pk=pk)


def _administered(request, pk) -> Webhook:
    webhook = _visible(request, pk)
    require_admin(request.user, webhook.department)
    return webhook


@login_required
@require_http_methods(["GET", "POST"])
def webhook_create(request):
    """The answer to POST shows the secret, this once: there is nothing to redirect to."""
    if not _may_create(request.user):
        raise PermissionDenied("This needs the role admin.")
    form = WebhookForm(request.POST or None, by=request.user)
    create = partial(webhooks.webhook_create, by=request.user)
    made = saved(form, lambda: create(**form.cleaned_data)) if request.method == "POST" else None
    if made is None:
        return _form(request, form, "New webhook", reverse("migrations_engine:webhook_list"))
    webhook, secret = made
    if not secret:
        return redirect("migrations_engine:webhook_detail", pk=webhook.pk)
    context = {"webhook": webhook, "secret": secret}
    response = render(request, "migrations_engine/webhook_made.html", context)
    response["Cache-Control"] = "no-store"
    return response


@login_required
@require_http_methods(["GET", "POST"])
def webhook_edit(request, pk):
    webhook = _administered(request, pk)
    form = WebhookForm(request.POST or None, by=request.user, instance=_visible(request, pk))
    update = partial(webhooks.webhook_update, webhook=webhook, by=request.user)
    if request.method == "POST" and saved(form, lambda: update(**form.cleaned_data)):
        return redirect("migrations_engine:webhook_detail", pk=pk)
    return _form(request, form, webhook.name, reverse("migrations_engine:webhook_detail", args=[pk]))


def _form(request, form, title, cancel_url):
    context = {"form": form, "title": title, "cancel_url": cancel_url, "submit_label": "Save"}
    status = 400 if request.method == "POST" else 200
    return render(request, "migrations_engine/wave_form.html", context, status=status)


@login_required
@require_GET
def webhook_detail(request, pk):
    webhook = _visible(request, pk)
    page = Paginator(webhook.deliveries.all(), PAGE_ROWS).get_page(request.GET.get("page"))
    context = {
        "webhook": webhook,
        "page_obj": page,
        "may_change": may_administer(request.user, webhook.department),
    }
    return render(request, "migrations_engine/webhook_detail.html", context)


@login_required
@require_http_methods(["GET", "POST"])
def webhook_delete(request, pk):
    webhook = _administered(request, pk)
    if request.method == "POST":
        with refusals_as_messages(request):
            webhooks.webhook_delete(webhook=webhook, by=request.user)
            messages.success(request, f"{webhook.name} is told nothing any more.")
        return redirect("migrations_engine:webhook_list")
    context = {
        "question": f"Delete the webhook {webhook.name}?",
        "consequences": "Its delivery log goes with it; what waits to be sent is not sent.",
        "submit_label": "Delete",
        "danger": True,
        "cancel_url": reverse("migrations_engine:webhook_detail", args=[pk]),
    }
    return render(request, "migrations_engine/wave_act.html", context)


@login_required
@require_POST
def webhook_test(request, pk):
    webhook = _administered(request, pk)
    with refusals_as_messages(request):
        webhooks.webhook_test(webhook=webhook, by=request.user)
        messages.success(request, "A test event is on its way.")
    return redirect("migrations_engine:webhook_detail", pk=pk)


@login_required
@require_POST
def delivery_replay(request, pk):
    rows = WebhookDelivery.objects.visible_to(request.user).select_related("webhook__department")
    delivery = get_object_or_404(rows, pk=pk)
    require_admin(request.user, delivery.webhook.department)
    with refusals_as_messages(request):
        webhooks.delivery_replay(delivery=delivery, by=request.user)
        messages.success(request, "It is sent again.")
    return redirect("migrations_engine:webhook_detail", pk=delivery.webhook_id)
