"""`/orders/`, `/entitlements/`, `/accounts/`, `/payouts/`, …"""

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.response import Response
from rest_framework.views import APIView

from marketplace.api import selling_serializers as shapes
from marketplace.api.scoped import Scoped
from marketplace.filters import AccountFilter, OrderFilter, SubscriptionFilter
from marketplace.models import Account, Budget, Entitlement, Order, Payout, Subscription
from marketplace.permissions import OrderPermission, SuperuserWrites
from marketplace.services import accounts, orders, prices, refunds, subscriptions
from marketplace.services.ledger import statement_of
from marketplace.services.months import month_end, month_of, statement_rows
from marketplace.services.payment_events import event_take
from personas.api.fields import department_for

MAX_KEY_CHARACTERS = 200
IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key", str, OpenApiParameter.HEADER,
    description="The same key gives the order of that time; with another body 422.",
)  # fmt: skip
MONTH = OpenApiParameter("month", str, description="As in 2026-11; default: this month.")


class OrderViewSet(mixins.CreateModelMixin, mixins.ListModelMixin, mixins.RetrieveModelMixin, Scoped):
    """What one's departments buy and sell."""

    queryset = Order.objects.select_related("listing__publisher", "ordered_by")
    serializer_class = shapes.OrderSerializer
    filterset_class = OrderFilter
    permission_classes = [OrderPermission]

    @extend_schema(parameters=[IDEMPOTENCY_KEY])
    def create(self, request):
        """Credits pay at once; else `pay_url` says where, or an invoice waits. 402 where the money is not there."""
        asked = self.get_serializer(data=request.data)
        asked.is_valid(raise_exception=True)
        said = dict(asked.validated_data)
        department = department_for(request.user, said)
        if department is None:
            raise serializers.ValidationError({"department": "Name the department that buys."})
        order = orders.order_create(
            department=department, by=request.user, idempotency_key=_key(request),
            return_url=request.build_absolute_uri(said["listing"].get_absolute_url()), **said,
        )  # fmt: skip
        return Response(self.get_serializer(order).data, status=status.HTTP_201_CREATED)

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def cancel(self, request, pk=None):
        """Gives up what is not paid."""
        return self.act(request, orders.order_cancel)

    @extend_schema(request=shapes.RefundSerializer)
    @action(detail=True, methods=["post"])
    def refund(self, request, pk=None):
        """By the buyer inside the window, by the seller at any time."""
        return self.act(request, refunds.order_refund, shapes.RefundSerializer)

    @extend_schema(request=shapes.ReferenceSerializer)
    @action(detail=True, methods=["post"])
    def confirm(self, request, pk=None):
        """The money of an invoice has arrived."""
        return self.act(request, orders.order_confirm, shapes.ReferenceSerializer)

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def refunded(self, request, pk=None):
        """The money of a refund has been sent: of an invoice, or of what a provider could not send."""
        return self.act(request, refunds.refund_done)


class EntitlementViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, Scoped):
    queryset = Entitlement.objects.select_related("allowance")
    serializer_class = shapes.EntitlementSerializer


class SubscriptionViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, Scoped):
    """What one's departments pay by the month."""

    queryset = Subscription.objects.select_related("terms", "entitlement__allowance")
    serializer_class = shapes.SubscriptionSerializer
    filterset_class = SubscriptionFilter

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def cancel(self, request, pk=None):
        """It runs to the end of what is paid."""
        return self.act(request, subscriptions.subscription_cancel)

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def keep(self, request, pk=None):
        """Takes a cancellation back, while what is paid lasts."""
        return self.act(request, subscriptions.subscription_keep)


class AccountViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, Scoped):
    queryset = Account.objects.select_related("department")
    serializer_class = shapes.AccountSerializer
    filterset_class = AccountFilter

    @extend_schema(parameters=[MONTH], responses=shapes.StatementSerializer)
    @action(detail=True, methods=["get"])
    def statement(self, request, pk=None):
        return Response(shapes.StatementSerializer(self._statement(request)).data)

    @extend_schema(parameters=[MONTH], responses={(200, "text/csv"): str})
    @action(detail=True, methods=["get"], url_path="statement.csv", url_name="statement-csv")
    def statement_csv(self, request, pk=None):
        text = "".join(statement_rows(self._statement(request)))
        return HttpResponse(text, content_type="text/csv; charset=utf-8")

    def _statement(self, request):
        start = month_of(request.query_params.get("month", ""))
        return statement_of(account=self.get_object(), start=start, end=month_end(start))


class CreditTransfer(APIView):
    """Charge-back: one department pays another in credits."""

    @extend_schema(request=shapes.TransferSerializer, responses={201: shapes.MovementSerializer})
    def post(self, request):
        said = _said(shapes.TransferSerializer, request)
        movement = accounts.credits_transfer(by=request.user, **said)
        return Response(shapes.MovementSerializer(movement).data, status=status.HTTP_201_CREATED)


class Grant(APIView):
    """Credits of the organisation for a department."""

    permission_classes = [SuperuserWrites]

    @extend_schema(request=shapes.GrantSerializer, responses={201: shapes.MovementSerializer})
    def post(self, request):
        said = _said(shapes.GrantSerializer, request)
        book = accounts.credits_grant if said["amount"] > 0 else accounts.credits_withdraw
        movement = book(by=request.user, **{**said, "amount": abs(said["amount"])})
        return Response(shapes.MovementSerializer(movement).data, status=status.HTTP_201_CREATED)


class Fee(APIView):
    """What the platform takes of a new order."""

    permission_classes = [SuperuserWrites]

    @extend_schema(responses=shapes.FeeSerializer)
    def get(self, request):
        return Response({"basis_points": prices.fee_rate()})

    @extend_schema(request=shapes.FeeSerializer, responses={201: shapes.FeeSerializer})
    def post(self, request):
        rate = prices.fee_set(by=request.user, **_said(shapes.FeeSerializer, request))
        return Response({"basis_points": rate.basis_points}, status=status.HTTP_201_CREATED)


class BudgetViewSet(mixins.ListModelMixin, Scoped):
    permission_classes = [SuperuserWrites]
    queryset = Budget.objects.select_related("department")
    serializer_class = shapes.BudgetSerializer

    def create(self, request):
        said = _said(shapes.BudgetSerializer, request)
        accounts.budget_set(by=request.user, **said)
        return Response(shapes.BudgetSerializer(said).data, status=status.HTTP_201_CREATED)


class PayoutViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, Scoped):
    queryset = Payout.objects.select_related("department")
    serializer_class = shapes.PayoutSerializer

    @extend_schema(request=shapes.PayoutSerializer, responses={201: shapes.PayoutSerializer, 204: None})
    def create(self, request):
        """Earned credits are in the wallet at once (204); money waits for the organisation to send it (201)."""
        asked = self.get_serializer(data=request.data)
        asked.is_valid(raise_exception=True)
        said = dict(asked.validated_data)
        department = department_for(request.user, said)
        if department is None:
            raise serializers.ValidationError({"department": "Name the department that has earned it."})
        payout = accounts.payout_request(by=request.user, department=department, **said)
        if payout is None:
            return Response(status=status.HTTP_204_NO_CONTENT)
        return Response(self.get_serializer(payout).data, status=status.HTTP_201_CREATED)

    @extend_schema(request=shapes.PayoutSettleSerializer)
    @action(detail=True, methods=["post"])
    def settle(self, request, pk=None):
        return self.act(request, accounts.payout_settle, shapes.PayoutSettleSerializer)


class PaymentEvents(APIView):
    """Where a payment provider sends its events: whoever signs them is believed, nobody else."""

    authentication_classes: list = []
    permission_classes: list = []
    parser_classes: list = []

    @extend_schema(request={"application/json": {"type": "object"}}, responses={204: None}, auth=[])
    def post(self, request, provider):
        event_take(provider=provider, body=request._request.body, headers=request.headers)
        return Response(status=status.HTTP_204_NO_CONTENT)


def _said(shape, request) -> dict:
    asked = shape(data=request.data, context={"request": request})
    asked.is_valid(raise_exception=True)
    return asked.validated_data


def _key(request) -> str:
    key = request.headers.get("Idempotency-Key", "").strip().strip('"')
    if len(key) > MAX_KEY_CHARACTERS:
        raise serializers.ValidationError({"Idempotency-Key": f"At most {MAX_KEY_CHARACTERS} characters."})
    return key
