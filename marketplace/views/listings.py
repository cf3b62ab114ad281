"""The catalogue: what is offered, and what one listing holds."""

from django.db.models import Avg, Count
from django.utils import timezone
from django.views.generic import DetailView

from marketplace.domain.dependencies import dependencies, dependencies_hidden
from marketplace.domain.licences import allows_derivatives
from marketplace.domain.manifest import manifest, manifest_hidden
from marketplace.filters import ListingFilter
from marketplace.models import Entitlement, Installation, Listing
from marketplace.services.catalogue import listings_told
from marketplace.services.entitlements import may_read
from marketplace.services.installing import bundle_in
from marketplace.services.keys import signed_by
from marketplace.services.outcomes import listing_record, records_shown, told_record
from marketplace.services.prices import price_of, prices_of
from marketplace.services.reviews import may_review, ratings_of
from personas.domain.labels import grouped
from personas.models import Department, Role
from personas.services.access import allows
from personas.views.base import ListPage, Page


class Market(Page):
    app = "marketplace"


class ListingList(Market, ListPage):
    model, entity = Listing, "listing"
    filterset_class = ListingFilter
    template_name = "marketplace/listing_list.html"
    paginate_by = 24

    def rows(self):
        return listings_told(super().rows()).defer("search_text", "readme")

    def get_context_data(self, **context):
        context = super().get_context_data(**context)
        listings = list(context["page_obj"])
        records, prices, ratings = records_shown(listings), prices_of(listings), ratings_of(listings)
        for listing in listings:
            listing.record, listing.price = records[listing.pk], prices.get(listing.pk)
            listing.rating = ratings.get(listing.pk)
        return context


def selling_of(listing: Listing, user) -> dict:
    """What the price box and the outcomes box show."""
    ours = (
        Entitlement.objects.visible_to(user).filter(listing=listing).select_related("department", "allowance")
    )
    return {
        "price": price_of(listing),
        "entitlements": ours.in_force(timezone.now()).select_related("subscription"),
        "tried": ours.tried(),
        "record": listing_record(listing),
        "told_record": told_record(listing),
    }


def _rated(listing: Listing, user) -> dict:
    """What departments that ran it say of it."""
    reviews = list(listing.reviews.select_related("department", "release")[:50])
    return {
        "reviews": reviews,
        "rating": listing.reviews.aggregate(mean=Avg("stars"), n=Count("pk")),
        "may_review": bool(may_review(listing=listing, by=user)),
    }


class ListingDetail(Market, DetailView):
    model, entity = Listing, "listing"
    template_name = "marketplace/listing_detail.html"
    context_object_name = "listing"

    def get_queryset(self):
        return listings_told(super().get_queryset())

    def get_context_data(self, **context):
        listing, user = self.object, self.request.user
        mine = Department.objects.administered_by(user)
        newest = listing.newest
        bundle = bundle_in(newest) if newest else None
        readable = may_read(listing=listing, user=user)
        told, brought = (manifest, dependencies) if readable else (manifest_hidden, dependencies_hidden)
        return super().get_context_data(
            newest=newest,
            successor=Listing.objects.visible_to(user).filter(pk=listing.successor_id).first(),
            bundle=bundle if readable else None,
            forked_from=bundle.forked_from if bundle else None,
            is_readable=readable,
            **selling_of(listing, user),
            permissions=told(bundle) if bundle else [],
            dependencies=brought(bundle) if bundle else [],
            groups=grouped(bundle.persona.settings) if bundle else [],
            may_fork=newest is not None and allows_derivatives(newest.licence),
            **_rated(listing, user),
            signed=signed_by(newest) if newest else None,
            releases=listing.releases.select_related("published_by"),
            installations=self._installations(),
            may_publish=not listing.publisher.catalogue_id
            and allows(by=user, department=listing.department, role=Role.ADMIN),
            installable=listing.installable,
            may_install=mine.exists(),
            may_install_more=mine.exclude(installations__listing=listing).exists(),
            **context,
        )

    def _installations(self):
        rows = Installation.objects.visible_to(self.request.user).filter(listing=self.object)
        found = list(rows.select_related("department", "release", "persona"))
        for row in found:
            row.may_write = allows(by=self.request.user, department=row.department, role=Role.ADMIN)
            row.offered = self.object.offered_to(row.release)
        return found
