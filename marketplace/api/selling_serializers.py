"""Prices, orders, entitlements, accounts on the wire. Amounts are integers in the smallest unit."""

from rest_framework import serializers

from analyzer.models import VirtualMachine
from marketplace.domain.money import UNITS
from marketplace.models import (
    Account,
    Budget,
    Entitlement,
    Listing,
    Movement,
    Order,
    Payout,
    Price,
    Subscription,
)
from marketplace.models.order import PROVIDERS, Terms
from marketplace.services.ledger import balance_of
from personas.api.base import DepartmentField, ScopedRelatedField
from personas.models import Department, Role
from templates_app.models import MigrationTemplate

TERMS = [field.name for field in Terms._meta.get_fields()]


class PriceSerializer(serializers.ModelSerializer):
    class Meta:
        model = Price
        fields = ["id", *TERMS, "escrow_days", "trial_runs", "set_at"]
        read_only_fields = ["set_at"]


class OrderSerializer(serializers.ModelSerializer):
    listing = ScopedRelatedField(queryset=Listing.objects.all())
    department = DepartmentField(required=False, help_text="Who buys.")
    price = ScopedRelatedField(
        queryset=Price.objects.all(), required=False, write_only=True,
        help_text="The one that was seen; 409 when it is another by now.",
    )  # fmt: skip
    provider = serializers.ChoiceField(choices=PROVIDERS, required=False)
    quantity = serializers.IntegerField(required=False, min_value=1, help_text="Runs or months.")
    renews = serializers.BooleanField(
        required=False, allow_null=True,
        help_text="Pay again each month until it is cancelled; unless said it is so where the provider can.",
    )  # fmt: skip
    ordered_by = serializers.SlugRelatedField(slug_field="username", read_only=True)

    class Meta:
        model = Order
        fields = [
            "id", "number", "listing", "department", "price", *TERMS, "quantity", "amount", "fee_basis_points",
            "provider", "reference", "pay_url", "renews", "subscription", "period_at", "state", "entitlement",
            "escrow_until", "refund_reason", "refunded_amount", "refund_problem", "disputed_at",
            "ordered_by", "ordered_at", "paid_at", "refunded_at",
        ]  # fmt: skip
        read_only_fields = sorted(
            set(fields) - {"listing", "department", "price", "provider", "quantity", "renews", "ordered_by"}
        )
        validators: list = []


class EntitlementSerializer(serializers.ModelSerializer):
    runs_left = serializers.IntegerField(source="allowance.runs_left", allow_null=True, read_only=True)
    seats = serializers.IntegerField(source="allowance.seats", allow_null=True, read_only=True)
    expires_at = serializers.DateTimeField(source="allowance.expires_at", allow_null=True, read_only=True)
    refusal = serializers.CharField(
        source="allowance.refusal", read_only=True, help_text="Why it is not in force; empty: it is."
    )

    class Meta:
        model = Entitlement
        fields = [
            "id", "department", "listing", "is_trial", "runs_left", "seats", "expires_at", "refusal", "created_at",
        ]  # fmt: skip
        read_only_fields = fields


class SubscriptionSerializer(serializers.ModelSerializer):
    unit_amount = serializers.IntegerField(source="terms.unit_amount", read_only=True)
    unit = serializers.CharField(source="terms.unit", read_only=True)
    provider = serializers.CharField(source="terms.provider", read_only=True)
    runs_until = serializers.DateTimeField(
        source="entitlement.allowance.expires_at", read_only=True, allow_null=True,
        help_text="Of what is paid, or of the grace; null: without an end.",
    )  # fmt: skip

    class Meta:
        model = Subscription
        fields = [
            "id", "department", "listing", "state", "problem", "unit_amount", "unit", "provider", "runs_until",
            "started_at", "cancelled_at",
        ]  # fmt: skip
        read_only_fields = fields


class ForDepartmentSerializer(serializers.Serializer):
    department = DepartmentField()


class RefundSerializer(serializers.Serializer):
    reason = serializers.CharField(max_length=200, required=False, allow_blank=True)


class ReferenceSerializer(serializers.Serializer):
    reference = serializers.CharField(max_length=120, required=False, allow_blank=True)


class RateSerializer(serializers.Serializer):
    count = serializers.IntegerField()
    n = serializers.IntegerField()
    value = serializers.FloatField()
    low = serializers.FloatField(help_text="Of the 95 % Wilson interval.")
    high = serializers.FloatField()


class TrackRecordSerializer(serializers.Serializer):
    """A rate is null under five runs: not enough data."""

    runs = serializers.IntegerField()
    finished = serializers.IntegerField()
    success = RateSerializer(allow_null=True)
    script_failures = RateSerializer(allow_null=True)
    rollbacks = RateSerializer(allow_null=True)
    resizes = RateSerializer(allow_null=True)
    median_duration_s = serializers.FloatField(allow_null=True)


class OutcomesSerializer(TrackRecordSerializer):
    where_it_comes_from = TrackRecordSerializer(
        allow_null=True, help_text="What the other instance has counted; null for a listing of ours."
    )


class ForecastAskedSerializer(serializers.Serializer):
    vm = ScopedRelatedField(queryset=VirtualMachine.objects.all(), role=Role.ADMIN)
    template = ScopedRelatedField(queryset=MigrationTemplate.objects.filter(archived_at__isnull=True))


class ForecastConcernSerializer(serializers.Serializer):
    severity = serializers.CharField()
    category = serializers.CharField()
    subject = serializers.CharField()


class ForecastSerializer(serializers.Serializer):
    launchable = serializers.BooleanField()
    concerns = ForecastConcernSerializer(many=True)
    changes = serializers.ListField(child=serializers.CharField(), help_text="Names, never values.")
    fit = serializers.ChoiceField(choices=["good", "fair", "weak", "unknown"])
    is_best = serializers.BooleanField()


class AccountSerializer(serializers.ModelSerializer):
    balance = serializers.SerializerMethodField()

    class Meta:
        model = Account
        fields = ["id", "kind", "department", "unit", "balance"]
        read_only_fields = fields

    def get_balance(self, account) -> int:
        return balance_of(account)


class StatementLineSerializer(serializers.Serializer):
    at = serializers.DateTimeField(source="movement.at")
    kind = serializers.CharField(source="movement.kind")
    order = serializers.UUIDField(source="movement.order_id", allow_null=True)
    memo = serializers.CharField(source="movement.memo")
    amount = serializers.IntegerField(help_text="Signed.")
    balance = serializers.IntegerField(help_text="After it.")


class StatementSerializer(serializers.Serializer):
    start = serializers.DateTimeField()
    end = serializers.DateTimeField()
    opening = serializers.IntegerField()
    lines = StatementLineSerializer(many=True)
    closing = serializers.IntegerField()


class AnyDepartmentField(serializers.UUIDField):
    """Any department by its id: for a superuser."""

    def to_internal_value(self, data):
        found = Department.objects.filter(pk=super().to_internal_value(data)).first()
        if found is None:
            raise serializers.ValidationError("No such department.")
        return found

    def to_representation(self, department):
        return str(department.pk)


class OtherDepartmentField(serializers.SlugField):
    """A department by its short name: one need not be a member of whom one pays."""

    def to_internal_value(self, data):
        found = Department.objects.filter(slug=super().to_internal_value(data)).first()
        if found is None:
            raise serializers.ValidationError("No department is called so.")
        return found

    def to_representation(self, department):
        return department.slug


class TransferSerializer(serializers.Serializer):
    source = DepartmentField()
    destination = OtherDepartmentField(help_text="The short name of the other department.")
    amount = serializers.IntegerField(min_value=1)
    memo = serializers.CharField(max_length=200)


class MovementSerializer(serializers.ModelSerializer):
    class Meta:
        model = Movement
        fields = ["kind", "amount", "unit", "at", "memo"]


class GrantSerializer(serializers.Serializer):
    department = AnyDepartmentField()
    amount = serializers.IntegerField(help_text="Below zero takes back what has not been spent.")
    memo = serializers.CharField(max_length=200, required=False, allow_blank=True)


class FeeSerializer(serializers.Serializer):
    basis_points = serializers.IntegerField(min_value=0, max_value=10_000)


class BudgetSerializer(serializers.ModelSerializer):
    department = AnyDepartmentField()
    monthly_amount = serializers.IntegerField(min_value=0, allow_null=True, help_text="null: no limit.")

    class Meta:
        model = Budget
        fields = ["department", "unit", "monthly_amount"]
        validators: list = []


class PayoutSerializer(serializers.ModelSerializer):
    department = DepartmentField(required=False)
    unit = serializers.ChoiceField(choices=UNITS)
    amount = serializers.IntegerField(min_value=1)

    class Meta:
        model = Payout
        fields = ["id", "department", "unit", "amount", "state", "requested_at", "settled_at", "reference"]
        read_only_fields = ["state", "requested_at", "settled_at", "reference"]


class PayoutSettleSerializer(ReferenceSerializer):
    is_paid = serializers.BooleanField()
