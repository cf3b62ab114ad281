"""The admin over the same services as the pages: roles are checked, revisions and audit rows are written."""

from personas.admin import people, rows

__all__ = ["people", "rows"]
