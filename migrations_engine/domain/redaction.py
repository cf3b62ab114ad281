"""Takes what looks like a secret out of texts and documents that leave the house. Pure.

It rather takes too much: a word too few in a support bundle is asked for again, one too many is gone for good.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

GONE = "[redacted]"
NAMES = re.compile(
    r"pass(word|wd|phrase)?|secret|token|credential|api.?key|private.?key|auth|cookie|session|pwd|dsn", re.I
)
SUBJECTS, VALUES = ("setting", "path"), ("value", "asked", "found", "current", "planned")
PATTERNS = [
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.S), GONE),
    (re.compile(r"(?<=://)[^/\s:@]*:[^/\s@]+(?=@)"), GONE),  # user:password in an address
    (re.compile(r"(?i)\b(authorization\s*:\s*)(\S+\s+)?\S+"), rf"\1{GONE}"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}"), rf"\1 {GONE}"),
    (re.compile(r"\b(AKIA|ASIA)[A-Z0-9]{16}\b"), GONE),  # AWS
    (re.compile(r"\b(gh[pousr]_|glpat-|xox[abprs]-|sk_live_|rk_live_|whsec_|mp_)[A-Za-z0-9_-]{10,}"), GONE),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"), GONE),  # JWT
    (re.compile(r"\$(1|2[aby]|5|6|y|argon2[a-z]*)\$[A-Za-z0-9./$,=+-]{8,}"), GONE),  # crypt(3)
    (
        re.compile(
            r"(?i)([A-Za-z0-9_.-]*(?:pass(?:word|wd|phrase)?|secret|token|credential|api_?-?key|pwd)[A-Za-z0-9_.-]*"
            r"[\"']?\s*(?:=|:|\s)\s*)(\"[^\"\n]*\"|'[^'\n]*'|[^\s,;]+)"
        ),
        rf"\1{GONE}",
    ),
]


def redacted_text(text: str, known: Iterable[str] = ()) -> str:
    """`known`: secrets whose very value is known here; each is taken out wherever it stands."""
    for secret in sorted({each for each in known if len(each) >= 6}, key=len, reverse=True):
        text = text.replace(secret, GONE)
    for pattern, instead in PATTERNS:
        text = pattern.sub(instead, text)
    return text


def redacted(value: Any, known: Iterable[str] = (), name: str = "", secret: bool = False) -> Any:
    """Plain JSON without what a secret's name stands beside, and without what looks like one. In a row that tells about
    a setting (`{"setting": "monitoring_tags.token", "asked": …}`) the name stands in the row. `secret`: it does."""
    known = list(known)
    if isinstance(value, Mapping):
        about = secret or any(NAMES.search(str(value.get(key, ""))) for key in SUBJECTS)
        return {redacted_text(str(key), known): redacted(each, known, str(key), about) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [redacted(each, known, name, secret) for each in value]
    if isinstance(value, str):
        hidden = NAMES.search(name) or (secret and name in VALUES)
        return GONE if value and hidden else redacted_text(value, known)
    return value
