"""The entries of the side bar, built from the names of URLs. An entry whose page does not exist is left out."""

from dataclasses import dataclass

from django.urls import NoReverseMatch, reverse
from django.utils.functional import SimpleLazyObject

GROUPS = [
    (
        "",
        [
            ("Home", "home", "layout-dashboard"),
        ],
    ),
    (
        "Move",
        [
            ("Migrations", "migrations_engine:run_list", "route"),
            ("Waves", "migrations_engine:wave_list", "versions"),
            ("Machines", "analyzer:vm_list", "server-2"),
            ("Estate map", "analyzer:estate", "map-pin"),
            ("Migrated machines", "migrations_engine:migratedvm_list", "device-desktop"),
        ],
    ),
    (
        "Decide",
        [
            ("Personas", "personas:persona_list", "masks-theater"),
            ("Drafted personas", "analyzer:draft_list", "wand"),
            ("Templates", "templates_app:template_list", "stack-2"),
            ("Marketplace", "marketplace:listing_list", "building-store"),
        ],
    ),
    (
        "Profiles",
        [
            ("Driver sets", "personas:driverset_list", "puzzle"),
            ("Resource profiles", "personas:resourceprofile_list", "cpu"),
            ("Network profiles", "personas:networkprofile_list", "network"),
            ("Scripts", "personas:script_list", "terminal-2"),
            ("Secrets", "personas:secret_list", "key"),
        ],
    ),
    (
        "Connect",
        [
            ("Sources", "analyzer:source_list", "database-export"),
            ("Targets", "migrations_engine:target_list", "target"),
            ("Webhooks", "migrations_engine:webhook_list", "link"),
        ],
    ),
    (
        "Administer",
        [
            ("Departments", "personas:department_list", "building"),
            ("Audit", "personas:audit_list", "history"),
            ("Admin", "admin:index", "settings"),
        ],
    ),
]
USER_LINKS = [
    ("My reports", "marketplace:report_list", "flag"),
    ("API tokens", "personas:token_list", "key"),
    ("API documentation", "api-docs", "api"),
]
STAFF_ONLY = {"admin:index"}


@dataclass
class Entry:
    label: str
    name: str
    icon: str
    url: str
    current: bool = False


@dataclass
class Group:
    label: str
    entries: list[Entry]


def navigation(request) -> dict:
    """Context of every page: `navigation` [Group], `user_links` [Entry], `memberships`. Computed when asked for."""
    return {
        "navigation": SimpleLazyObject(lambda: _groups(request)),
        "user_links": SimpleLazyObject(lambda: _entries(USER_LINKS, request)),
        "memberships": SimpleLazyObject(lambda: _memberships(request)),
    }


def _groups(request) -> list[Group]:
    if not request.user.is_authenticated:
        return []
    groups = [Group(label, _entries(rows, request)) for label, rows in GROUPS]
    _mark_current([entry for group in groups for entry in group.entries], request.path)
    return [group for group in groups if group.entries]


def _entries(rows, request) -> list[Entry]:
    allowed = [row for row in rows if row[1] not in STAFF_ONLY or request.user.is_staff]
    made = [Entry(label, name, icon, url_or_blank(name)) for label, name, icon in allowed]
    return [entry for entry in made if entry.url]


def url_or_blank(name: str) -> str:
    """Blank while no page has that name."""
    try:
        return reverse(name)
    except NoReverseMatch:
        return ""


def _mark_current(entries: list[Entry], path: str) -> None:
    """The entry with the longest URL that the path begins with: `/personas/123/` belongs to `/personas/`."""
    fitting = [
        entry for entry in entries if path == entry.url or (entry.url != "/" and path.startswith(entry.url))
    ]
    if fitting:
        max(fitting, key=lambda entry: len(entry.url)).current = True


def _memberships(request) -> list:
    if not request.user.is_authenticated:
        return []
    return list(request.user.memberships.select_related("department"))
