"""How long the rest takes."""

MIN_ELAPSED_S = 1.0  # before that a rate is noise


def eta_s(done: int, total: int, elapsed_s: float) -> float | None:
    """Seconds left at the mean rate so far; None where nothing sensible can be said yet."""
    if total <= 0 or done <= 0 or elapsed_s < MIN_ELAPSED_S:
        return None
    return max(0.0, (total - done) * elapsed_s / done)
