"""The table of origins, for every page that shows a merge."""

from django import template

from templates_app.domain import origin_table

register = template.Library()


@register.simple_tag
def origin_table_of(merged, only_changed=False):
    """See templates_app/domain/origin_table.py."""
    return origin_table.origin_table(merged, only_changed=bool(only_changed))
