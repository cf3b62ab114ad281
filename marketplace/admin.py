"""The marketplace in the admin: to look at; what changes goes through its pages and API."""

from django.contrib import admin

from marketplace.models import Installation, Listing, Publisher, Release
from personas.admin import ReadOnlyAdmin


@admin.register(Publisher)
class PublisherAdmin(ReadOnlyAdmin):
    list_display = ["name", "slug", "department", "created_at"]


@admin.register(Listing)
class ListingAdmin(ReadOnlyAdmin):
    list_display = ["name", "publisher", "category", "visibility", "updated_at"]
    list_filter = ["category", "visibility"]


@admin.register(Release)
class ReleaseAdmin(ReadOnlyAdmin):
    list_display = ["listing", "version", "licence", "published_at", "yanked_at"]
    exclude = ["bundle"]


@admin.register(Installation)
class InstallationAdmin(ReadOnlyAdmin):
    list_display = ["listing", "release", "department", "installed_at"]
