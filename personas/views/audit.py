"""The audit trail as a page."""

from personas.filters import AuditFilter
from personas.models import AuditEntry
from personas.views.base import ListPage


class AuditList(ListPage):
    model, entity = AuditEntry, "audit"
    filterset_class = AuditFilter
    template_name = "personas/audit_list.html"
    paginate_by = 50

    def get_queryset(self):
        return super().get_queryset().select_related("department")

    def get_context_data(self, **context):
        context = super().get_context_data(**context)
        for entry in context["page_obj"]:
            entry.changes, entry.made = changes(entry), entry.before is None
        return context


def changes(entry: AuditEntry) -> list[dict]:
    """[{"name", "before", "after"}] of the columns that the entry tells of."""
    before, after = entry.before or {}, entry.after or {}
    ids = {f"{name}_id" for name in {*before, *after}}  # told by name as well
    return [
        {"name": name, "before": before.get(name), "after": after.get(name)}
        for name in sorted({*before, *after} - {"id"} - ids)
        if before.get(name) != after.get(name) and (before.get(name) or after.get(name))
    ]
