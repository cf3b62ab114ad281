"""What is offered: a listing, and its releases, which never change."""

import uuid
from typing import NamedTuple

from django.conf import settings
from django.db import models
from django.urls import reverse
from django.utils.safestring import SafeString

from marketplace.domain.bundle import preference, version_key
from marketplace.domain.markdown import rendered
from personas.models import Department
from personas.models.owned import OwnedQuerySet


class Visibility(models.TextChoices):
    DEPARTMENT = "department", "Our department"
    ORGANISATION = "organisation", "The whole organisation"
    PUBLIC = "public", "Everyone, other instances too"


WIDER = list(Visibility)  # each is seen by more than the one before


class Icon(models.TextChoices):
    """Of the sprite that every page has: a publisher's picture would be a file to check, and a way to look like another
    publisher."""

    PACKAGE = "package", "Package"
    DATABASE = "database-export", "Database"
    WORLD = "world", "Web"
    CHART = "chart-line", "Chart"
    COIN = "coin", "Money"
    TERMINAL = "terminal-2", "Terminal"
    TOOLS = "tools", "Tools"
    SHIELD = "shield-lock", "Shield"
    CLOUD = "cloud", "Cloud"
    SERVER = "server-2", "Server"


class Category(models.TextChoices):
    DATABASE = "database", "Databases"
    WEB = "web", "Web"
    DATA = "data", "Data and analysis"
    OFFICE = "office", "Office and finance"
    DEVELOPMENT = "development", "Development"
    OPERATIONS = "operations", "Operations and security"
    OTHER = "other", "Other"


class Known(NamedTuple):
    """Which rows a queryset has, in its order, where whoever made it has looked: they are not counted again, nor is all
    they hold sorted for a page. A queryset made from that one does not inherit it."""

    ids: list[uuid.UUID]
    among: "ListingQuerySet"  # in the same order, of more rows


class ListingQuerySet(OwnedQuerySet):
    department_path = "publisher__department"
    known: Known | None = None

    def count(self):
        return len(self.known.ids) if self.known else super().count()

    def __getitem__(self, k):
        if self.known and isinstance(k, slice):
            return self.known.among.filter(pk__in=self.known.ids[k])
        return super().__getitem__(k)

    def visible_to(self, user):
        """What is for the whole organisation or for everyone, and what one's own departments publish; of a publisher
        that is held for review only the latter, and of one from elsewhere nothing."""
        if not user.is_authenticated or user.is_superuser:
            return super().visible_to(user)
        # publisher.py imports this file
        publishers = self.model._meta.get_field("publisher").related_model.objects.all()
        held = publishers.exclude(held_reason="")
        ours = publishers.filter(department__in=Department.objects.visible_to(user))
        ours = ours.exclude(pk__in=held.filter(catalogue__isnull=False))
        shown = ~models.Q(visibility=Visibility.DEPARTMENT) & ~models.Q(publisher__in=held)
        # not by way of a join: two sets of ids beside the index listings_seen count a large catalogue in a few ms
        return self.filter(models.Q(publisher__in=ours) | shown)


class Listing(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    publisher = models.ForeignKey("marketplace.Publisher", models.PROTECT, related_name="listings")
    slug = models.SlugField(max_length=63)
    name = models.CharField(max_length=80)
    summary = models.CharField(max_length=200, blank=True)
    readme = models.TextField(max_length=64 * 1024, blank=True)
    category = models.CharField(max_length=16, choices=Category, default=Category.OTHER)
    icon = models.CharField(max_length=32, choices=Icon, default=Icon.PACKAGE)
    tests = models.JSONField(
        default=list,
        blank=True,
        help_text="The persona's own tests (marketplace/domain/bundle.py, PersonaTest).",
    )
    visibility = models.CharField(max_length=16, choices=Visibility, default=Visibility.ORGANISATION)
    persona = models.ForeignKey(
        "personas.Persona",
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="listings",
        help_text="What it is made from.",
    )
    licence = models.CharField(max_length=120, blank=True, editable=False, help_text="Of the newest release.")
    distribution = models.CharField(
        max_length=32, blank=True, editable=False, help_text="os-release ID that the newest release is for."
    )
    search_text = models.TextField(blank=True, editable=False, help_text="What the search looks in.")
    told_outcomes = models.JSONField(
        default=dict, editable=False, help_text="What the instance that it comes from has counted."
    )
    told_since = models.DateTimeField(
        null=True,
        editable=False,
        help_text="Since when the instance that it comes from says that it lists it.",
    )
    deprecated_at = models.DateTimeField(null=True, editable=False)
    deprecation_reason = models.CharField(max_length=200, blank=True, editable=False)
    successor = models.ForeignKey("self", models.SET_NULL, null=True, editable=False, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = ListingQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        indexes = [
            models.Index(fields=["name", "id"], name="listings_by_name"),  # a page reads 24 rows, not all
            # counts, facets too, without reading the texts
            models.Index(
                fields=["publisher", "visibility"],
                include=["category", "licence", "distribution"],
                name="listings_seen",
            ),
        ]
        constraints = [
            models.UniqueConstraint(fields=["publisher", "slug"], name="one_listing_per_publisher_and_slug")
        ]

    def __str__(self):
        return self.name

    def get_absolute_url(self):
        return reverse("marketplace:listing_detail", args=[self.pk])

    @property
    def department(self):
        return self.publisher.department

    @property
    def address(self) -> str:
        return f"{self.publisher.slug}/{self.slug}"

    def is_shown_in(self, department: Department | None) -> bool:
        """Whether all of a department see it (None: all of the organisation), as `visible_to` says of one reader."""
        held, ours = self.publisher.held_reason, department and department.pk == self.publisher.department_id
        if ours and not (held and self.publisher.catalogue_id):
            return True
        return self.visibility != Visibility.DEPARTMENT and not held

    @property
    def takedown(self):
        """The one that holds; None where nothing is held against it."""
        return next((each for each in self.takedowns.all() if each.lifted_at is None), None)

    @property
    def readme_html(self) -> str:
        return SafeString(rendered(self.readme))  # no HTML of its own gets through, and the rest is sanitised

    @property
    def newest(self) -> "Release | None":
        """The highest version that can be installed; a pre-release only where there is nothing else."""
        return max(self.installable, key=lambda release: preference(release.version), default=None)

    def offered_to(self, release: "Release") -> "Release | None":
        """What an update leads to from `release`: to a pre-release only from another one."""
        offered = [each for each in self.installable if release.is_prerelease or not each.is_prerelease]
        return max(offered, key=lambda each: each.key, default=None)

    @property
    def installable(self) -> "list[Release]":
        return [] if self.takedown else [each for each in self.releases.all() if not each.yanked_at]


class Immutable(TypeError):
    """A release never changes."""


class ReleaseQuerySet(OwnedQuerySet):
    department_path = "listing__publisher__department"

    def visible_to(self, user):
        return self.filter(listing__in=Listing.objects.visible_to(user))


class Release(models.Model):
    """`bundle` holds the canonical bytes (marketplace/domain/bundle.py). Only a yank is written later, by
    `release_yank`: it ends new installations and leaves those that are there alone."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    listing = models.ForeignKey(Listing, models.PROTECT, related_name="releases")
    version = models.CharField(max_length=40)
    licence = models.CharField(max_length=120)
    changelog = models.JSONField(default=list)
    bundle = models.BinaryField()
    sha256 = models.CharField(max_length=64)
    size = models.PositiveIntegerField(default=0, editable=False, help_text="Bytes of the bundle.")
    persona_revision = models.PositiveIntegerField(help_text="Of the persona that it was made from.")
    published_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    approved_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    published_at = models.DateTimeField(auto_now_add=True)
    yanked_at = models.DateTimeField(null=True, editable=False)
    yank_reason = models.CharField(max_length=200, blank=True)

    objects = ReleaseQuerySet.as_manager()

    class Meta:
        ordering = ["listing", "-published_at"]
        constraints = [models.UniqueConstraint(fields=["listing", "version"], name="one_release_per_version")]

    def __str__(self):
        return f"{self.listing} {self.version}"

    def save(self, *args, **kwargs):
        if not self._state.adding:
            raise Immutable("A release never changes; publish a new version.")
        super().save(*args, **kwargs)

    @property
    def department(self):
        return self.listing.publisher.department

    @property
    def key(self):
        return version_key(self.version)

    @property
    def is_prerelease(self) -> bool:
        return self.key.is_prerelease
