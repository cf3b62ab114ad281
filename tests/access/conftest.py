from tests.access.rows import laid, world

__all__ = ["laid", "world"]
