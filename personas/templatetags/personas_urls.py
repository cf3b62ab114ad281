"""URLs of a row's pages by the first word of their names."""

from django import template
from django.urls import reverse

register = template.Library()


@register.simple_tag
def entity_url(entity: str, page: str, row) -> str:
    return reverse(f"personas:{entity}_{page}", kwargs={"pk": row.pk})
