"""What is paid by the month: looked at, cancelled, kept."""

from django.urls import reverse

from marketplace.filters import SubscriptionFilter
from marketplace.models import Subscription
from marketplace.services.subscriptions import subscription_cancel, subscription_keep
from marketplace.views.listings import Market
from personas.models import Role
from personas.services.access import allows
from personas.views.base import ActPage, ConfirmPage, ListPage


class Subscriptions(Market):
    model, entity = Subscription, "subscription"

    def get_queryset(self):
        rows = super().get_queryset()
        return rows.select_related("department", "listing__publisher", "terms", "entitlement__allowance")

    def url(self, page: str, row=None) -> str:
        """They have no page of their own: the list says all there is to say."""
        return reverse("marketplace:subscription_list") if page == "detail" else super().url(page, row)


class SubscriptionList(Subscriptions, ListPage):
    filterset_class = SubscriptionFilter
    template_name = "marketplace/subscription_list.html"

    def get_context_data(self, **context):
        context = super().get_context_data(**context)
        for row in context["page_obj"]:
            row.may_write = allows(by=self.request.user, department=row.department, role=Role.ADMIN)
        return context


class SubscriptionCancel(Subscriptions, ConfirmPage):
    question = "Cancel {row}? It runs to the end of what is paid, and is not paid for again."
    submit_label, tells_users, danger = "End it with the month", False, False
    done = "Cancelled: {row}. It runs to the end of what is paid."

    def act(self):
        subscription_cancel(subscription=self.object, by=self.request.user)


class SubscriptionKeep(Subscriptions, ActPage):
    done = "Kept: {row}. It renews by itself again."

    def act(self):
        subscription_keep(subscription=self.object, by=self.request.user)
