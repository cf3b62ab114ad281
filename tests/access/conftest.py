from tests.access.rows import world

__all__ = ["world"]
