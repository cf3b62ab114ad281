"""Standard Webhooks (standardwebhooks.com, 1.0): what is signed, how often it is tried again. Pure."""

import base64
import binascii
import hashlib
import hmac
from datetime import timedelta
from enum import StrEnum

PREFIX = "whsec_"
SECRET_BYTES = 32
BACKOFF = (
    timedelta(seconds=5), timedelta(minutes=5), timedelta(minutes=30), timedelta(hours=2), timedelta(hours=5),
    timedelta(hours=10), timedelta(hours=14), timedelta(hours=20), timedelta(hours=24),
)  # fmt: skip
"""The specification's schedule: after the first try, nine more over three days."""


class Event(StrEnum):
    RUN_STARTED = "run.started"
    RUN_DECIDING = "run.deciding"
    RUN_CONFIRMING = "run.confirming"
    RUN_SUCCEEDED = "run.succeeded"
    RUN_FAILED = "run.failed"
    RUN_CANCELLED = "run.cancelled"
    RUN_ROLLED_BACK = "run.rolled_back"
    WAVE_APPROVAL = "wave.approval"
    WAVE_STOPPED = "wave.stopped"
    WAVE_FINISHED = "wave.finished"
    TEST = "test"


class ListenerKind(StrEnum):
    WEBHOOK = "webhook"
    SERVICE = "service"  # a mailbox, a chat: told in words


class DeliveryState(StrEnum):
    WAITING = "waiting"
    DELIVERED = "delivered"
    FAILED = "failed"


def secret_from(random: bytes) -> str:
    return PREFIX + base64.b64encode(random).decode()


def headers(*, secret: str, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Raises ValueError for a secret that is none."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError("no webhook secret") from error
    signed = f"{message_id}.{timestamp}.".encode() + body
    signature = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{signature}",
        "content-type": "application/json",
    }


def next_try(attempts: int) -> timedelta | None:
    """After so many tries that failed; None: it is given up."""
    return BACKOFF[attempts - 1] if attempts <= len(BACKOFF) else None


def is_taken(status: int) -> bool:
    return 200 <= status < 300


def is_gone(status: int) -> bool:
    """The receiver says that it does not want any more."""
    return status == 410
