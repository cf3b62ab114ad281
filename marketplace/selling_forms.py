"""What the pages of selling ask."""

import uuid

from django import forms

from analyzer.models import VirtualMachine
from marketplace.domain.money import CREDITS, UNITS, WrongAmount, money_of
from marketplace.domain.orders import ESCROW_DAYS, PriceKind
from marketplace.forms import Refusable
from marketplace.models import Price
from marketplace.models.order import PRICE_KINDS
from marketplace.payments.registry import providers_for
from personas.models import Department
from templates_app.models import MigrationTemplate

MOST_MACHINES = 5  # each is planned for real
PROVIDER_WORDS = {
    "credits": "Credits of the department",
    "invoice": "Invoice",
    "stripe": "Card (on Stripe's page)",
}


class MoneyForm(Refusable, forms.Form):
    """`amount` is typed as people write it, and becomes smallest units of `unit`."""

    unit = forms.ChoiceField(choices=UNITS, initial=CREDITS, label="Currency")
    amount = forms.CharField(max_length=20, help_text="As in 12.50; credits are whole.")

    def clean(self):
        said = super().clean()
        if said.get("amount") and said.get("unit"):
            try:
                said["amount"] = money_of(said["amount"], said["unit"])
            except WrongAmount as error:
                self.add_error("amount", str(error))
        return said


class PriceForm(MoneyForm):
    kind = forms.ChoiceField(choices=PRICE_KINDS, label="Sold")
    seats = forms.IntegerField(
        required=False, min_value=1, label="Machines", help_text="How many it is for; empty: any number."
    )
    trial_runs = forms.IntegerField(
        min_value=0, max_value=100, initial=0, label="Trial runs",
        help_text="Free runs before buying. A trial shows what is in it, as buying does.",
    )  # fmt: skip
    refund_days = forms.IntegerField(
        min_value=0,
        max_value=365,
        initial=14,
        help_text="For so long a buyer gets the money back for the asking.",
    )
    promised_runs = forms.IntegerField(
        min_value=0, max_value=100, initial=0, label="Promise: of the first … runs",
        help_text="0: no promise. With one, the money is yours after the first success, or when nobody has run it for "
        f"{ESCROW_DAYS} days (or the refund days, if more).",
    )  # fmt: skip
    promised_percent = forms.IntegerField(
        min_value=0, max_value=100, initial=0, label="… so many percent succeed",
        help_text="Else the money goes back by itself.",
    )  # fmt: skip
    field_order = ["kind", "unit", "amount", "seats", "trial_runs", "refund_days"]

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["amount"].required = False

    def clean(self):
        if self.cleaned_data.get("kind") == PriceKind.FREE:
            self.cleaned_data["amount"] = "0"
        return super().clean()

    def terms(self) -> dict:
        said = dict(self.cleaned_data)
        said["unit_amount"] = said.pop("amount") or 0
        return said

    def told_refused(self, errors):
        names = {"unit_amount": "amount"}
        super().told_refused({names.get(field, field): told for field, told in errors.items()})


class BuyForm(Refusable, forms.Form):
    """`key` is drawn when the page is made: the same page sent twice is one order."""

    department = forms.ModelChoiceField(Department.objects.none(), empty_label=None, label="For")
    quantity = forms.IntegerField(min_value=1, max_value=10_000, initial=1)
    renews = forms.BooleanField(
        required=False, initial=True, label="Pay again each month",
        help_text="Until you cancel, which you can do at any time. You are told a week before.",
    )  # fmt: skip
    provider = forms.ChoiceField(label="Paid by")
    key = forms.UUIDField(widget=forms.HiddenInput, initial=uuid.uuid4)
    price = forms.ModelChoiceField(Price.objects.none(), widget=forms.HiddenInput)

    def __init__(self, *args, user, price, **kwargs):
        super().__init__(*args, **kwargs)
        mine = Department.objects.administered_by(user)
        self.fields["department"].queryset = mine.exclude(pk=price.listing.publisher.department_id)
        self.fields["price"].queryset = Price.objects.filter(listing=price.listing)
        self.initial["price"] = price.pk
        possible = providers_for(price.unit)
        self.fields["provider"].choices = [(name, PROVIDER_WORDS[name]) for name in possible]
        words = {PriceKind.PER_RUN: "Runs", PriceKind.SUBSCRIPTION: "Months"}
        if price.kind in words:
            self.fields["quantity"].label = words[PriceKind(price.kind)]
        else:
            del self.fields["quantity"]
        if price.kind != PriceKind.SUBSCRIPTION:
            del self.fields["renews"]

    def told_stale(self) -> None:
        """The page shows the price as it is now; what is sent next is for that."""
        self.data = self.data.copy()
        self.data["price"] = self.initial["price"]
        self.add_error(None, "The price has changed since you saw it: look at it again, then order.")

    def order(self) -> dict:
        said = dict(self.cleaned_data)
        said["idempotency_key"] = str(said.pop("key"))
        return said


class TrialForm(Refusable, forms.Form):
    """One of those that the user administers, and not the seller's own."""

    department = forms.ModelChoiceField(Department.objects.none(), empty_label=None, label="For")

    def __init__(self, *args, user, listing, **kwargs):
        super().__init__(*args, **kwargs)
        mine = Department.objects.administered_by(user)
        self.fields["department"].queryset = mine.exclude(pk=listing.publisher.department_id)


class RefundForm(Refusable, forms.Form):
    reason = forms.CharField(max_length=200, required=False, help_text="Seen by both sides.")


class ReferenceForm(Refusable, forms.Form):
    reference = forms.CharField(max_length=120, required=False, help_text="Of the bank, for the books.")


class TransferForm(Refusable, forms.Form):
    source = forms.ModelChoiceField(Department.objects.none(), empty_label=None, label="From")
    destination = forms.SlugField(label="To", help_text="The other department's short name, as in web-shop.")
    amount = forms.IntegerField(min_value=1, label="Credits")
    memo = forms.CharField(max_length=200, label="What for")

    def __init__(self, *args, user, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["source"].queryset = Department.objects.administered_by(user)

    def clean_destination(self):
        found = Department.objects.filter(slug=self.cleaned_data["destination"]).first()
        if found is None:
            raise forms.ValidationError("No department is called so.")
        return found


class PayoutForm(Refusable, forms.Form):
    amount = forms.CharField(max_length=20)

    def __init__(self, *args, unit, **kwargs):
        super().__init__(*args, **kwargs)
        self.unit = unit

    def clean_amount(self):
        try:
            return money_of(self.cleaned_data["amount"], self.unit)
        except WrongAmount as error:
            raise forms.ValidationError(str(error)) from None


class PayoutSettleForm(ReferenceForm):
    is_paid = forms.TypedChoiceField(
        choices=[("yes", "Sent"), ("no", "Refused: it is earned again")], coerce=lambda said: said == "yes",
        label="What became of it",
    )  # fmt: skip
    field_order = ["is_paid"]


class GrantForm(Refusable, forms.Form):
    department = forms.ModelChoiceField(Department.objects.all(), empty_label=None)
    amount = forms.IntegerField(label="Credits", help_text="Below zero takes back what has not been spent.")
    memo = forms.CharField(max_length=200, label="What for")

    def clean_amount(self):
        if not self.cleaned_data["amount"]:
            raise forms.ValidationError("Give a number other than 0.")
        return self.cleaned_data["amount"]


class BudgetForm(MoneyForm):
    department = forms.ModelChoiceField(Department.objects.all(), empty_label=None)
    field_order = ["department"]

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["amount"].required = False
        self.fields["amount"].label = "At most, a month"
        self.fields["amount"].help_text = "Empty: no limit."


class FeeForm(Refusable, forms.Form):
    basis_points = forms.IntegerField(
        min_value=0, max_value=10_000, help_text="Hundredths of a percent: 250 are 2.5 %. For new orders."
    )


class TryForm(Refusable, forms.Form):
    machines = forms.ModelMultipleChoiceField(
        VirtualMachine.objects.none(), help_text="Up to five of your own; those that are scanned tell most."
    )
    template = forms.ModelChoiceField(MigrationTemplate.objects.none(), empty_label=None)

    def __init__(self, *args, user, **kwargs):
        super().__init__(*args, **kwargs)
        machines = VirtualMachine.objects.administered_by(user).filter(department__isnull=False)
        self.fields["machines"].queryset = machines.order_by("name")
        templates = MigrationTemplate.objects.visible_to(user).filter(archived_at__isnull=True)
        self.fields["template"].queryset = templates.order_by("name")

    def clean_machines(self):
        chosen = self.cleaned_data["machines"]
        if len(chosen) > MOST_MACHINES:
            raise forms.ValidationError(f"At most {MOST_MACHINES} at once.")
        return chosen
