"""The price of a listing, and buying it."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.shortcuts import get_object_or_404, redirect
from django.views.generic import DetailView

from marketplace.domain.money import money_words
from marketplace.domain.orders import ORDER_LIVE, OrderState
from marketplace.filters import OrderFilter
from marketplace.models import Account, Listing, Order
from marketplace.models.ledger import AccountKind
from marketplace.selling_forms import BuyForm, PriceForm, ReferenceForm, RefundForm, TrialForm
from marketplace.services.entitlements import trial_start
from marketplace.services.ledger import balances
from marketplace.services.orders import order_cancel, order_confirm, order_create
from marketplace.services.prices import fee_rate, price_of, price_set
from marketplace.services.refunds import order_refund, refund_done, refund_for_the_asking, refund_until
from marketplace.views.listings import Market
from personas.models import Department, Role
from personas.services.access import allows
from personas.views.base import FormPage, ListPage, require_here

MOST_WALLETS = 10  # who has more knows where to look


class OfListing(Market, FormPage):
    """A form about one listing."""

    model, entity = Listing, "listing"
    needs_price = False

    def dispatch(self, request, *args, **kwargs):
        if request.user.is_authenticated:
            self.listing = get_object_or_404(self.get_queryset(), pk=kwargs["pk"])
            self.check()
            self.price = price_of(self.listing)
            if self.price is None and self.needs_price:
                messages.info(request, f"{self.listing} is free: install it.")
                return redirect(self.listing)
        return super().dispatch(request, *args, **kwargs)

    def check(self):
        require_here(self.request.user, self.listing)

    def get_context_data(self, **context):
        return super().get_context_data(
            listing=self.listing, price=self.price, cancel_url=self.listing.get_absolute_url(), **context
        )

    def success_url_of(self, row):
        return self.listing.get_absolute_url()


class PriceSet(OfListing):
    form_class = PriceForm
    template_name = "marketplace/price_form.html"

    def get_initial(self):
        if self.price is None:
            return {"kind": "free"}
        columns = ("kind", "unit", "seats", "trial_runs", "refund_days", "promised_runs", "promised_percent")
        amount = money_words(self.price.unit_amount, self.price.unit).split()[0].replace(",", "")
        return {name: getattr(self.price, name) for name in columns} | {"amount": amount}

    def get_context_data(self, **context):
        return super().get_context_data(submit_label="Set the price", fee=f"{fee_rate() / 100:g}", **context)

    def save(self, form):
        return price_set(listing=self.listing, by=self.request.user, **form.terms())

    def success_message(self, row):
        return f"From now on: {row}. Orders that are there keep their price."


class Buying(OfListing):
    needs_price = True

    def check(self):
        if not Department.objects.administered_by(self.request.user).exists():
            raise PermissionDenied("Only an admin of a department buys.")


class OrderCreate(Buying):
    form_class = BuyForm
    template_name = "marketplace/buy.html"

    def get_form_kwargs(self):
        return {**super().get_form_kwargs(), "user": self.request.user, "price": self.price}

    def get_context_data(self, **context):
        return super().get_context_data(
            submit_label="Order with obligation to pay", wallets=self._wallets(), **context
        )

    def _wallets(self) -> list[tuple[Account, str]]:
        """What is there to pay with, where it is paid in credits."""
        mine = Department.objects.administered_by(self.request.user)
        rows = Account.objects.filter(kind=AccountKind.WALLET, unit=self.price.unit, department__in=mine)
        rows = rows.select_related("department").order_by("department__name")[:MOST_WALLETS]
        held = balances(Account.objects.filter(pk__in=[row.pk for row in rows]))
        return [(row, money_words(held[row.pk], row.unit)) for row in rows]

    def save(self, form):
        url = self.request.build_absolute_uri(self.listing.get_absolute_url())
        return order_create(listing=self.listing, by=self.request.user, return_url=url, **form.order())

    def success_message(self, row):
        if row.state == OrderState.PENDING:
            return f"Ordered: {row}. It is yours when it is paid."
        return f"Bought: {row}. Install it in {row.department}."

    def success_url_of(self, row):
        return row.get_absolute_url()


class TrialStart(Buying):
    form_class = TrialForm
    template_name = "marketplace/trial.html"

    def get_form_kwargs(self):
        return {**super().get_form_kwargs(), "user": self.request.user, "listing": self.listing}

    def get_context_data(self, **context):
        runs = self.price.trial_runs
        return super().get_context_data(
            submit_label=f"Start the trial ({runs} run{'s' * (runs != 1)})",
            **context,
        )

    def save(self, form):
        return trial_start(listing=self.listing, by=self.request.user, **form.cleaned_data)

    def success_message(self, row):
        return f"The trial has begun: install it in {row.department}."


class Orders(Market):
    model, entity = Order, "order"

    def get_queryset(self):
        rows = super().get_queryset()
        return rows.select_related(
            "department", "listing__publisher__department", "ordered_by", "entitlement"
        )


class OrderList(Orders, ListPage):
    filterset_class = OrderFilter
    template_name = "marketplace/order_list.html"


class OrderDetail(Orders, DetailView):
    template_name = "marketplace/order_detail.html"
    context_object_name = "order"

    def get_context_data(self, **context):
        order, user = self.object, self.request.user
        buys = allows(by=user, department=order.department, role=Role.ADMIN)
        sells = allows(by=user, department=order.seller, role=Role.ADMIN)
        return super().get_context_data(
            movements=order.movements.select_related("source__department", "destination__department"),
            refund_until=refund_until(order),
            may_refund=order.state in ORDER_LIVE
            and not order.disputed_at
            and (sells or (buys and refund_for_the_asking(order))),
            may_refund_again=order.refund_problem and (sells or buys),
            may_cancel=buys and order.state == OrderState.PENDING,
            may_confirm=user.is_superuser
            and order.provider == "invoice"
            and order.state == OrderState.PENDING,
            may_end_refund=user.is_superuser and order.state == OrderState.REFUNDING,
            newest=order.listing.newest,
            may_install=buys and order.state in ORDER_LIVE,
            **context,
        )


class OfOrder(Orders, FormPage):
    """Asks before something is done with an order; `act` does it."""

    template_name = "marketplace/order_confirm.html"
    question, submit_label, done, danger = "", "", "", False
    consequence = ""

    def dispatch(self, request, *args, **kwargs):
        if request.user.is_authenticated:
            self.order = get_object_or_404(self.get_queryset(), pk=kwargs["pk"])
            self.check()
        return super().dispatch(request, *args, **kwargs)

    def check(self):
        require_here(self.request.user, self.order)

    def get_context_data(self, **context):
        return super().get_context_data(
            order=self.order,
            question=self.question.format(order=self.order),
            submit_label=self.submit_label,
            danger=self.danger,
            consequence=self.consequence,
            cancel_url=self.order.get_absolute_url(),
            **context,
        )

    def success_message(self, row):
        return self.done.format(order=row)

    def success_url_of(self, row):
        return row.get_absolute_url()


class OrderCancel(OfOrder):
    form_class = ReferenceForm
    question, submit_label, danger = "Give up {order}?", "Give it up", True
    done = "{order} is given up."
    consequence = "Nothing has been paid. What arrives later goes back."

    def get_form(self, form_class=None):
        form = super().get_form(form_class)
        form.fields.clear()
        return form

    def save(self, form):
        return order_cancel(order=self.order, by=self.request.user)


class OrderRefund(OfOrder):
    form_class = RefundForm
    question, submit_label, danger = "Refund {order}?", "Refund", True
    done = "{order} is given back."
    consequence = (
        "The money goes back (of runs bought one by one, that of the unused ones), and new migrations with it are "
        "refused. What has been migrated, its receipts and its history stay."
    )

    def check(self):
        sides = (self.order.department, self.order.seller)
        if not any(allows(by=self.request.user, department=each, role=Role.ADMIN) for each in sides):
            raise PermissionDenied("Only an admin of the buyer or of the seller gives an order back.")

    def save(self, form):
        return order_refund(order=self.order, by=self.request.user, **form.cleaned_data)


class ByTheOrganisation(OfOrder):
    form_class = ReferenceForm

    def check(self):
        if not self.request.user.is_superuser:
            raise PermissionDenied("Only a superuser sees the organisation's bank account.")


class OrderConfirm(ByTheOrganisation):
    question, submit_label = "Has the money of {order} arrived?", "It has arrived"
    done = "{order} is paid."

    def save(self, form):
        return order_confirm(order=self.order, by=self.request.user, **form.cleaned_data)


class RefundDone(ByTheOrganisation):
    question, submit_label = "Has the money of {order} been sent back?", "It has been sent"
    done = "{order} is refunded."

    def save(self, form):
        return refund_done(order=self.order, by=self.request.user)
