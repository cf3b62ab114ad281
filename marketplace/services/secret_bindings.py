"""Which secret of a department a release's script is given: what its publisher calls it says nothing of that."""

from collections.abc import Iterable, Mapping

from marketplace.models import Listing
from personas.domain.canonical import sha256_of
from personas.errors import BadInput
from personas.models import Department, Secret


def bindings_checked(
    *,
    names: Iterable[str],
    given: Mapping[str, str | None],
    before: Mapping[str, str],
    department: Department,
) -> dict[str, str]:
    """{name in the release: slug of a secret of the department}, of those that the department has said, now or before;
    None takes back what was said. Raises BadInput."""
    asked = set(names)
    problems = [f"It asks for no secret called {name}." for name in given if name not in asked]
    slugs = set(Secret.objects.filter(department=department).values_list("slug", flat=True))
    problems += [
        f"{department} has no secret {slug}." for slug in given.values() if slug and slug not in slugs
    ]
    if problems:
        raise BadInput({"secrets": problems})
    return {name: slug for name, slug in {**before, **given}.items() if slug and name in asked}


def bindings_of(names: Iterable[str], *, listing: Listing, bound: Mapping[str, str]) -> dict[str, str]:
    """{name: slug} of all of them: what nobody has said yet is called so that no secret is meant by chance. A plan asks
    for it by that name, and whoever makes a secret of that name has said it."""
    return {name: bound.get(name) or _unsaid(name, listing) for name in names}


def _unsaid(name: str, listing: Listing) -> str:
    return f"{name[:50].rstrip('-')}-{sha256_of([str(listing.pk), name])[:8]}"
