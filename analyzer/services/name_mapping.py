"""The facts of a machine in the words that its department uses for software."""

from functools import lru_cache

from django.db.models import Q

from analyzer.domain.facts import Facts
from analyzer.domain.name_mapping import NameMapping, NameRule, built_in, named
from analyzer.models import SoftwareName
from personas.models import Department


def mapping_of(department: Department | None) -> NameMapping:
    """The department's rows first, then the organisation's, then what is built in."""
    ours = Q(department__isnull=True) | (Q(department=department) if department else Q())
    rows = SoftwareName.objects.filter(ours).values_list("department", "name", "means")
    told = sorted(rows, key=lambda row: row[0] is None)
    return _mapping(tuple(NameRule(name, means) for _, name, means in told))


@lru_cache(maxsize=16)
def _mapping(rules: tuple[NameRule, ...]) -> NameMapping:
    return NameMapping([*rules, *built_in()])


def named_facts(facts: Facts, department: Department | None) -> Facts:
    return named(facts, mapping_of(department))
