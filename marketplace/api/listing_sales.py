"""What a listing costs, how its runs ended, what it would do here: `listings/{id}/price/` and so on."""

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.response import Response

from marketplace.api import selling_serializers as shapes
from marketplace.permissions import BuyerPermission
from marketplace.services import entitlements, forecast, outcomes, prices
from personas.errors import Refused


class ListingSales:
    """Mixin of the listings' viewset."""

    @extend_schema(methods=["get"], responses=shapes.PriceSerializer, operation_id="listings_price_retrieve")
    @extend_schema(
        methods=["post"], request=shapes.PriceSerializer, responses={201: shapes.PriceSerializer},
        description="Holds for new orders; kind `free` ends the price.",
    )  # fmt: skip
    @action(detail=True, pagination_class=None, filterset_class=None, methods=["get", "post"])
    def price(self, request, pk=None):
        listing = self.get_object()
        if request.method == "GET":
            price = prices.price_of(listing)
            if price is None:
                return Response({"kind": "free", "unit_amount": 0})
            return Response(shapes.PriceSerializer(price).data)
        asked = shapes.PriceSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        price = prices.price_set(listing=listing, by=request.user, **asked.validated_data)
        return Response(shapes.PriceSerializer(price).data, status=status.HTTP_201_CREATED)

    @extend_schema(request=shapes.ForDepartmentSerializer, responses={201: shapes.EntitlementSerializer})
    @action(detail=True, permission_classes=[BuyerPermission], methods=["post"])
    def trial(self, request, pk=None):
        """The runs that a department may try, once."""
        listing = self.get_object()
        asked = shapes.ForDepartmentSerializer(data=request.data, context=self.get_serializer_context())
        asked.is_valid(raise_exception=True)
        row = entitlements.trial_start(listing=listing, by=request.user, **asked.validated_data)
        return Response(shapes.EntitlementSerializer(row).data, status=status.HTTP_201_CREATED)

    @extend_schema(request=shapes.ForecastAskedSerializer, responses=shapes.ForecastSerializer)
    @action(detail=True, permission_classes=[BuyerPermission], methods=["post"])
    def forecast(self, request, pk=None):
        """What the newest version would do to a machine of one's own, without a value of it. Nothing is kept."""
        listing = self.get_object()
        asked = shapes.ForecastAskedSerializer(data=request.data, context=self.get_serializer_context())
        asked.is_valid(raise_exception=True)
        if listing.newest is None:
            raise Refused("There is no version to install.")
        told = forecast.forecast(release=listing.newest, by=request.user, **asked.validated_data)
        return Response(shapes.ForecastSerializer(told).data)

    @extend_schema(responses=shapes.OutcomesSerializer)
    @action(detail=True, pagination_class=None, filterset_class=None, methods=["get"])
    def outcomes(self, request, pk=None):
        """Counted by the platform from the runs of other departments."""
        listing = self.get_object()
        told = outcomes.told_record(listing)
        data = shapes.TrackRecordSerializer(outcomes.listing_record(listing)).data
        from_there = shapes.TrackRecordSerializer(told).data if told else None
        return Response({**data, "where_it_comes_from": from_there})
