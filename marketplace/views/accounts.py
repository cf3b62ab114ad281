"""What a department holds: accounts, monthly statements, charge-back, payouts; and the desk of the organisation."""

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.views.generic import DetailView, TemplateView

from marketplace.domain.money import EXPONENTS, money_words
from marketplace.domain.orders import OrderState, months_later
from marketplace.filters import AccountFilter
from marketplace.models import AbuseReport, Account, Budget, Order, Payout, Takedown
from marketplace.models.ledger import AccountKind, PayoutState
from marketplace.models.moderation import ReportState
from marketplace.selling_forms import (
    BudgetForm,
    FeeForm,
    GrantForm,
    PayoutForm,
    PayoutSettleForm,
    TransferForm,
)
from marketplace.services.accounts import (
    budget_set,
    credits_grant,
    credits_transfer,
    credits_withdraw,
    payout_request,
    payout_settle,
)
from marketplace.services.ledger import balance_of, balances, statement_of
from marketplace.services.months import month_end, month_of, statement_rows
from marketplace.services.orders import spent_this_month
from marketplace.services.prices import fee_rate, fee_set
from marketplace.views.listings import Market
from personas.models import Role
from personas.services.access import allows
from personas.views.base import AskPage, FormPage, ListPage, require_here


class Accounts(Market):
    model, entity = Account, "account"

    def get_queryset(self):
        return super().get_queryset().select_related("department")


class AccountList(Accounts, ListPage):
    filterset_class = AccountFilter
    template_name = "marketplace/account_list.html"

    def get_queryset(self):
        return super().get_queryset().exclude(kind=AccountKind.ESCROW)  # one for each order: told there

    def get_context_data(self, **context):
        context = super().get_context_data(**context)
        held = balances(Account.objects.filter(pk__in=[row.pk for row in context["page_obj"]]))
        for row in context["page_obj"]:
            row.balance = money_words(held[row.pk], row.unit)
        return context


class AccountDetail(Accounts, DetailView):
    """One month of it; `?month=2026-11`."""

    template_name = "marketplace/account_detail.html"
    context_object_name = "account"

    def get_context_data(self, **context):
        account, start = self.object, month_of(self.request.GET.get("month", ""))
        end = month_end(start)
        is_admin = allows(by=self.request.user, department=account.department, role=Role.ADMIN)
        budget = _budget(account)
        told = statement_of(account=account, start=start, end=end)
        return super().get_context_data(
            lines=[_line(line) for line in told.lines],
            opening_words=money_words(told.opening, account.unit),
            closing_words=money_words(told.closing, account.unit),
            held_words=money_words(balance_of(account), account.unit),
            before=f"{months_later(start, -1):%Y-%m}",
            after=f"{end:%Y-%m}" if end <= timezone.now() else "",
            month=f"{start:%Y-%m}",
            budget=budget,
            spent_words=money_words(spent_this_month(account.department, account.unit), account.unit)
            if budget
            else "",
            may_transfer=is_admin and account.kind == AccountKind.WALLET and account.department_id,
            may_pay_out=is_admin and account.kind == AccountKind.EARNINGS and account.department_id,
            **context,
        )


def _budget(account: Account) -> Budget | None:
    if account.kind != AccountKind.WALLET:
        return None
    return Budget.objects.filter(department=account.department, unit=account.unit).first()


def _line(line) -> dict:
    movement = line.movement
    return {
        "kind": movement.get_kind_display(),
        "order": movement.order,
        "memo": movement.memo,
        "at": movement.at,
        "amount": money_words(line.amount, movement.unit),
        "balance": money_words(line.balance, movement.unit),
    }


def _account(request, pk) -> Account:
    return get_object_or_404(Account.objects.visible_to(request.user), pk=pk)


@login_required
def account_csv(request, pk):
    account, start = _account(request, pk), month_of(request.GET.get("month", ""))
    told = statement_of(account=account, start=start, end=month_end(start))
    name = f"{account.kind}-{account.unit}-{start:%Y-%m}.csv"
    return HttpResponse(
        "".join(statement_rows(told)),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


@login_required
def account_series(request, pk):
    """The balance over a month, for the chart."""
    account, start = _account(request, pk), month_of(request.GET.get("month", ""))
    end = min(month_end(start), timezone.now())
    told = statement_of(account=account, start=start, end=month_end(start))
    points = [(start, told.opening)]
    for line in told.lines:
        points += [(line.movement.at, points[-1][1]), (line.movement.at, line.balance)]  # a step, not a slope
    points.append((max(end, points[-1][0]), told.closing))
    scale = 10 ** EXPONENTS[account.unit]
    values = [value / scale for _, value in points]
    x = [at.timestamp() for at, _ in points]
    words = f"From {money_words(told.opening, account.unit)} to {money_words(told.closing, account.unit)}."
    series = [{"label": "Balance", "values": values}]
    return JsonResponse({"x": x, "series": series, "lines": [], "words": words})


class CreditsTransfer(Accounts, AskPage):
    form_class = TransferForm
    template_name = "marketplace/transfer.html"

    def get_context_data(self, **context):
        return super().get_context_data(submit_label="Transfer", **context)

    def save(self, form):
        return credits_transfer(by=self.request.user, **form.cleaned_data)

    def success_message(self, row):
        return f"Transferred {money_words(row.amount, row.unit)} to {row.destination.department}."

    def success_url_of(self, row):
        return row.source.get_absolute_url()


class PayoutCreate(Accounts, FormPage):
    form_class = PayoutForm
    template_name = "marketplace/payout.html"

    def dispatch(self, request, *args, **kwargs):
        if request.user.is_authenticated:
            earnings = self.get_queryset().filter(kind=AccountKind.EARNINGS, department__isnull=False)
            self.account = get_object_or_404(earnings, pk=kwargs["pk"])
            require_here(request.user, self.account)
        return super().dispatch(request, *args, **kwargs)

    def get_form_kwargs(self):
        return {**super().get_form_kwargs(), "unit": self.account.unit}

    def get_context_data(self, **context):
        return super().get_context_data(
            account=self.account, held_words=money_words(balance_of(self.account), self.account.unit),
            submit_label="Pay out", cancel_url=self.account.get_absolute_url(), **context,
        )  # fmt: skip

    def save(self, form):
        account = self.account
        return payout_request(
            department=account.department,
            unit=account.unit,
            amount=form.cleaned_data["amount"],
            by=self.request.user,
        )

    def success_message(self, row):
        return (
            "The organisation has been asked to pay it out." if row else "It is in the department's wallet."
        )

    def success_url_of(self, row):
        return self.account.get_absolute_url()


# --- the organisation ------------------------------------------------------------------------------------------------


class OrganisationOnly(Market):
    def dispatch(self, request, *args, **kwargs):
        if request.user.is_authenticated and not request.user.is_superuser:
            raise PermissionDenied("This belongs to the whole organisation; only a superuser may change it.")
        return super().dispatch(request, *args, **kwargs)


class Desk(OrganisationOnly, TemplateView):
    model, entity = Account, "account"
    template_name = "marketplace/desk.html"

    def get_context_data(self, **context):
        orders = Order.objects.select_related("department", "listing").filter(provider="invoice")
        return super().get_context_data(
            fee_percent=f"{fee_rate() / 100:g}",
            invoices=orders.filter(state=OrderState.PENDING),
            refunds=orders.filter(state=OrderState.REFUNDING),
            payouts=Payout.objects.filter(state=PayoutState.REQUESTED).select_related("department"),
            budgets=Budget.objects.select_related("department"),
            open_reports=AbuseReport.objects.filter(state=ReportState.OPEN).count(),
            open_appeals=Takedown.objects.appeal_open().count(),
            **context,
        )


class OnTheDesk(OrganisationOnly, FormPage):
    model, entity = Account, "account"
    template_name = "marketplace/desk_form.html"
    heading = submit_label = ""

    def get_context_data(self, **context):
        return super().get_context_data(
            heading=self.heading,
            submit_label=self.submit_label,
            cancel_url=reverse("marketplace:desk"),
            **context,
        )

    def success_url_of(self, row):
        return reverse("marketplace:desk")


class FeeSet(OnTheDesk):
    form_class = FeeForm
    heading = submit_label = "Set the platform’s fee"

    def get_initial(self):
        return {"basis_points": fee_rate()}

    def save(self, form):
        return fee_set(by=self.request.user, **form.cleaned_data)

    def success_message(self, row):
        return f"New orders pay a fee of {row.basis_points / 100:g} %."


class CreditsGrant(OnTheDesk):
    form_class = GrantForm
    heading = submit_label = "Grant credits"

    def save(self, form):
        said = form.cleaned_data
        book = credits_grant if said["amount"] > 0 else credits_withdraw
        return book(by=self.request.user, **{**said, "amount": abs(said["amount"])})

    def success_message(self, row):
        return f"{row.get_kind_display()}: {money_words(row.amount, row.unit)}."

    def success_url_of(self, row):
        mine = row.destination if row.destination.department_id else row.source
        return mine.get_absolute_url()


class BudgetSet(OnTheDesk):
    form_class = BudgetForm
    heading = submit_label = "Set a budget"

    def save(self, form):
        said = form.cleaned_data
        return budget_set(
            department=said["department"], unit=said["unit"], by=self.request.user,
            monthly_amount=said["amount"] if said["amount"] != "" else None,
        )  # fmt: skip

    def success_message(self, row):
        return "The budget holds from now on." if row else "There is no limit any more."


class PayoutSettle(OnTheDesk):
    form_class = PayoutSettleForm
    submit_label = "Settle the payout"

    @property
    def heading(self) -> str:
        return f"{self.payout.amount_words} to {self.payout.department}"

    def dispatch(self, request, *args, **kwargs):
        if request.user.is_authenticated:
            self.payout = get_object_or_404(Payout.objects.visible_to(request.user), pk=kwargs["pk"])
        return super().dispatch(request, *args, **kwargs)

    def save(self, form):
        return payout_settle(payout=self.payout, by=self.request.user, **form.cleaned_data)

    def success_message(self, row):
        return f"{row}: {row.get_state_display().lower()}."
