"""Reading the catalogue: figures beside the listings."""

from django.db.models import Count, Max, QuerySet

from marketplace.models import Listing


def listings_told(rows: QuerySet[Listing]) -> QuerySet[Listing]:
    """With `installed_in` (number of departments) and `released_at` (of the newest release), releases at hand."""
    return (
        rows.select_related("publisher__department")
        .prefetch_related("releases", "takedowns")
        .annotate(
            installed_in=Count("installations__department", distinct=True),
            released_at=Max("releases__published_at"),
        )
        .order_by("name", "pk")
    )
