"""What one instance tells others of its public listings: a document that expires, numbered so that an old one can't be
passed off as new."""

import json
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from marketplace.domain.bundle import MOST_BYTES, Licence, Name, Semver, Sha256
from personas.domain.nesting import MOST_LEVELS, levels
from personas.domain.settings import Slug
from personas.domain.storable import unstorable
from personas.domain.track_record import ENOUGH, TrackRecord, rate

FORMAT = "migration-personas/feed@1"
VALID_FOR = timedelta(days=7)  # who is offline for longer asks again before installing
CLOCKS_DIFFER = timedelta(minutes=10)
MOST_FEED_BYTES = 32 * 1024 * 1024  # 20,000 listings take about 12 MiB
Text = Annotated[str, StringConstraints(max_length=400)]


class Told(BaseModel):
    """A newer instance may say more: what is not known is left out."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class ToldRelease(Told):
    version: Semver
    sha256: Sha256
    licence: Licence
    size: Annotated[int, Field(ge=1, le=MOST_BYTES)]
    bundle: Annotated[str, StringConstraints(pattern=r"^bundles/[0-9a-f-]{36}$")]
    published_at: AwareDatetime
    yanked: Text = ""


class ToldRate(Told):
    count: Annotated[int, Field(ge=0)]
    n: Annotated[int, Field(ge=0)]

    @model_validator(mode="after")
    def of_a_proportion(self):
        if self.count > self.n:
            raise ValueError("is more than all")
        return self


class ToldOutcomes(Told):
    """What the other instance has counted; intervals are worked out here, and no rate of fewer than five is taken."""

    runs: Annotated[int, Field(ge=0)] = 0
    finished: Annotated[int, Field(ge=0)] = 0
    success: ToldRate | None = None
    script_failures: ToldRate | None = None
    rollbacks: ToldRate | None = None
    resizes: ToldRate | None = None
    median_duration_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None


class ToldListing(Told):
    publisher: Slug
    slug: Slug
    name: Name
    summary: Text = ""
    category: Annotated[str, StringConstraints(max_length=16)] = "other"
    deprecated: Text | None = None
    successor: Annotated[str, StringConstraints(max_length=130)] = ""
    taken_down: Text | None = None
    since: AwareDatetime | None = None
    outcomes: ToldOutcomes = Field(default_factory=ToldOutcomes)
    releases: list[ToldRelease]


class ToldPublisher(Told):
    slug: Slug
    name: Name
    description: Text = ""
    verified: Text = ""
    since: AwareDatetime
    keys: list[Annotated[str, StringConstraints(max_length=4096)]]


class Feed(Told):
    format: Literal["migration-personas/feed@1"]
    number: Annotated[int, Field(ge=1)]
    issued_at: AwareDatetime
    expires_at: AwareDatetime
    publishers: list[ToldPublisher]
    listings: list[ToldListing]


class UnusableFeed(ValueError):
    """It can't be read, has expired, or is older than the one that is known."""


def feed_of(payload: bytes, *, now: datetime, known_number: int = 0) -> Feed:
    """The feed in bytes whose signature has been checked. Raises UnusableFeed."""
    try:
        data = json.loads(payload)
    except (ValueError, RecursionError):
        raise UnusableFeed("The feed is no JSON that could be read.") from None
    if levels(data) > MOST_LEVELS:
        raise UnusableFeed(f"The feed is nested deeper than {MOST_LEVELS} levels.")
    if where := unstorable(data):
        raise UnusableFeed(f"The feed holds text that can't be stored: {where}")
    try:
        feed = Feed.model_validate_json(payload)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UnusableFeed(f"The feed is not of the form that is known: {where}: {first['msg']}") from None
    if feed.expires_at <= now:
        raise UnusableFeed(f"The feed expired on {feed.expires_at:%Y-%m-%d %H:%M} UTC.")
    if feed.issued_at > now + CLOCKS_DIFFER:
        raise UnusableFeed("The feed comes from the future: one of the two clocks is wrong.")
    if feed.number < known_number:
        raise UnusableFeed(f"The feed is number {feed.number}; number {known_number} is known already.")
    return feed


def record_told(outcomes: dict[str, Any]) -> TrackRecord:
    """What a listing keeps of `ToldOutcomes`, as the same figures of one's own."""
    told = ToldOutcomes.model_validate(outcomes)
    rates = {
        name: rate(said.count, said.n) if (said := getattr(told, name)) else None
        for name in ("success", "script_failures", "rollbacks", "resizes")
    }
    is_enough = told.success is not None and told.success.count >= ENOUGH
    return TrackRecord(
        runs=told.runs,
        finished=told.finished,
        median_duration_s=told.median_duration_s if is_enough else None,
        **rates,
    )
