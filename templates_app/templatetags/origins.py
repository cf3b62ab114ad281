"""The tables of origins and conflicts, for every page that shows a merge."""

from django import template

from templates_app.domain import conflict_table, origin_table

register = template.Library()


@register.simple_tag
def origin_table_of(merged, only_changed=False):
    """See templates_app/domain/origin_table.py."""
    return origin_table.origin_table(merged, only_changed=bool(only_changed))


@register.simple_tag
def conflicts_of(merged):
    """See templates_app/domain/conflict_table.py."""
    return conflict_table.conflict_table(merged)
