"""A believable company for a first look: departments, people, catalogue, templates, a small estate of real disks.

Every verb is an *ensure*: a second start, or one after a kill half-way, finds what is there and makes what is missing.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction

from analyzer.models import SourceEndpoint
from analyzer.services.sources import source_create
from config.quickstart.starter import starter_ensure
from personas.models import Department, Role
from personas.services.departments import department_create, membership_set
from personas.services.users import user_create

ADMIN = "admin"


@dataclass(frozen=True)
class Sketch:
    """A department, what its settings add to every template, and its people: (user name, full name, role)."""

    slug: str
    name: str
    cost_centre: str
    people: tuple[tuple[str, str, Role], ...]


COMPANY = (
    Sketch(
        "platform",
        "Platform Engineering",
        "4711",
        (
            ("ada", "Ada Okafor", Role.ADMIN),
            ("jonas", "Jonas Lindqvist", Role.OPERATOR),
            ("mei", "Mei Tanaka", Role.VIEWER),
        ),
    ),
    Sketch(
        "marketing",
        "Marketing",
        "5200",
        (("carla", "Carla Mendes", Role.ADMIN), ("tom", "Tom Becker", Role.OPERATOR)),
    ),
    Sketch(
        "finance",
        "Finance",
        "6100",
        (("ingrid", "Ingrid Sørensen", Role.ADMIN), ("raj", "Raj Patel", Role.VIEWER)),
    ),
)


def admin_ensure(*, tell: Callable[[str], None]) -> None:
    """The superuser `admin`. `tell` gets the generated password before it counts: whoever is killed in between has
    seen one too many, never one too few."""
    if first_admin():
        return
    admin = User(username=ADMIN, is_staff=True, is_superuser=True)
    password = secrets.token_urlsafe(12)
    admin.set_password(password)
    with transaction.atomic():
        user_create(user=admin, by=admin)
        tell(password)


def company_ensure() -> None:
    admin = first_admin()
    starter_ensure(by=admin)
    for sketch in COMPANY:
        _department_ensure(sketch, admin)


def first_admin():
    return User.objects.filter(is_superuser=True).order_by("pk").first()


def source_ensure(*, department: str, name: str, by) -> tuple[SourceEndpoint, Path]:
    """The department's directory of disk images, as a row and a path."""
    directory = settings.IMAGE_ROOTS[0] / department
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    owner = Department.objects.get(slug=department)
    found = SourceEndpoint.objects.filter(department=owner, name=name).first()
    return found or source_create(by=by, department=owner, name=name, location=str(directory)), directory


@transaction.atomic
def _department_ensure(sketch: Sketch, admin) -> None:
    if Department.objects.filter(slug=sketch.slug).exists():
        return  # people may have changed it since: it is theirs now
    tags = {"monitoring_tags": {"cost-centre": sketch.cost_centre, "department": sketch.slug}}
    department = department_create(by=admin, name=sketch.name, slug=sketch.slug, defaults=tags)
    for username, full_name, role in sketch.people:
        _user_ensure(username, full_name, admin)
        membership_set(department=department, username=username, role=role, by=admin)


def _user_ensure(username: str, full_name: str, admin) -> None:
    """Without a usable password: nobody can log in as an example before an admin has set one."""
    if User.objects.filter(username=username).exists():
        return
    first, _, last = full_name.partition(" ")
    user = User(username=username, first_name=first, last_name=last)
    user.set_unusable_password()
    user_create(user=user, by=admin)
