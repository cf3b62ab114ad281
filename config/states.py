"""How a state looks: tone (a colour with a meaning), icon and words. One table for every app's pages."""

from typing import NamedTuple


class Look(NamedTuple):
    tone: str  # good | bad | warn | busy | idle
    icon: str
    label: str


STATES = {
    # runs, steps, scans
    "queued": Look("idle", "clock", "Queued"),
    "waiting": Look("idle", "circle-dashed", "Waiting"),
    "running": Look("busy", "refresh", "Running"),
    "cancelling": Look("warn", "hourglass", "Cancelling"),
    "refused": Look("bad", "hand-stop", "Refused"),
    "delivered": Look("good", "circle-check", "Delivered"),
    "approval": Look("warn", "user-check", "Waits for approval"),
    "paused": Look("warn", "player-pause", "Paused"),
    "stopped": Look("bad", "hand-stop", "Stopped"),
    "finished": Look("good", "circle-check", "Finished"),
    "deciding": Look("warn", "user-check", "Waiting for you"),
    "cutover": Look("busy", "power", "Cutover"),
    "warm": Look("busy", "power", "Warm cutover"),
    "confirming": Look("warn", "user-check", "Waiting for you"),
    "rolling_back": Look("warn", "hourglass", "Rolling back"),
    "rolled_back": Look("idle", "arrow-back-up", "Rolled back"),
    "finalized": Look("good", "lock", "Finalized"),
    "test": Look("warn", "eye", "Test"),
    "succeeded": Look("good", "circle-check", "Succeeded"),
    "failed": Look("bad", "circle-x", "Failed"),
    "cancelled": Look("idle", "ban", "Cancelled"),
    "complete": Look("good", "circle-check", "Complete"),
    "partial": Look("warn", "circle-minus", "Partial"),
    "unreadable": Look("bad", "circle-x", "Unreadable"),
    "not scanned": Look("idle", "circle-dashed", "Not scanned"),
    # suggestions
    "active": Look("busy", "bulb", "Open"),
    "claimed": Look("busy", "user-check", "Claimed"),
    "dismissed": Look("idle", "x", "Dismissed"),
    # machines
    "on": Look("good", "power", "On"),
    "off": Look("idle", "power", "Off"),
    "starting": Look("busy", "hourglass", "Starting"),
    "stopping": Look("busy", "hourglass", "Shutting down"),
    "unknown": Look("idle", "question-mark", "Unknown"),
    "removed": Look("idle", "trash", "Removed"),
    "missing": Look("warn", "alert-triangle", "Missing"),
    "archived": Look("idle", "archive", "Archived"),
    "revoked": Look("idle", "ban", "Revoked"),
    "expired": Look("warn", "hourglass", "Expired"),
    # host keys
    "new": Look("warn", "user-check", "To be confirmed"),
    "changed": Look("bad", "alert-circle", "Changed"),
    "confirmed": Look("good", "shield-check", "Confirmed"),
    # what verification found
    "pass": Look("good", "circle-check", "As asked"),
    "fail": Look("bad", "circle-x", "Differs"),
    "warning": Look("warn", "alert-triangle", "Warning"),
    "not_checked": Look("idle", "circle-dashed", "Not checked"),
    "verified": Look("good", "shield-check", "Verified"),
    "differs": Look("bad", "circle-x", "Differs"),
    # concerns
    "critical": Look("bad", "alert-circle", "Critical"),
    "information": Look("idle", "info-circle", "Information"),
    # orders
    "pending": Look("idle", "hourglass", "Not paid yet"),
    "held": Look("busy", "shield-check", "In escrow"),
    "paid": Look("good", "circle-check", "Paid"),
    "refunding": Look("warn", "arrow-back-up", "Refund on its way"),
    "refunded": Look("idle", "arrow-back-up", "Refunded"),
    # subscriptions
    "renewing": Look("good", "refresh", "Renews by itself"),
    "ending": Look("warn", "hourglass", "Cancelled, still paid"),
    "grace": Look("bad", "alert-triangle", "Not paid, in grace"),
    "lapsed": Look("bad", "ban", "Lapsed"),
    "ended": Look("idle", "circle-minus", "Ended"),
    # listings
    "draft": Look("idle", "pencil", "Draft"),
    "published": Look("good", "circle-check", "Published"),
    "deprecated": Look("warn", "alert-triangle", "Deprecated"),
    "yanked": Look("bad", "ban", "Yanked"),
}


def look_of(state: object) -> Look:
    """A state without a row is shown in its own words, without a colour that would claim to know it."""
    word = str(state)
    return STATES.get(word.lower()) or Look("idle", "circle-dot", word.replace("_", " ").capitalize())
