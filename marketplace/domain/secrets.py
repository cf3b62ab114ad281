"""Secrets that somebody left in what is about to be published: known shapes, and assigned values that look random.

The shapes are the documented prefixes of the issuers; the entropy bound is the usual one of secret scanners (a random
base64 text has 6 bits a character, prose and identifiers stay below 3.5).
"""

import math
import re
from collections import Counter
from collections.abc import Iterator

from marketplace.domain.bundle import Bundle, BundledScript
from marketplace.domain.finding import Finding
from marketplace.domain.script_entries import renamed, secrets_asked
from personas.domain.canonical import canonical_json

SHAPES = {
    "a private key": re.compile(r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----"),
    "an AWS access key": re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    "a GitHub token": re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{60,})\b"),
    "a GitLab token": re.compile(r"\bglpat-[A-Za-z0-9_-]{20,}\b"),
    "a Slack token": re.compile(r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}"),
    "a Stripe key": re.compile(r"\b[rs]k_live_[A-Za-z0-9]{16,}\b"),
    "a Google API key": re.compile(r"\bAIza[0-9A-Za-z_-]{35}\b"),
    "an API token of this product": re.compile(r"\bmp_[a-z0-9]{10}_[A-Za-z0-9_-]{40,}"),
    "a JSON web token": re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}"),
    "a password in an address": re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s/:@$]+:[^\s/@${}]{3,}@[^\s/]+"),
}
ASSIGNED = re.compile(
    r"""(?P<name>[A-Za-z0-9_.-]*(?:passw(?:or)?d|passphrase|secret|token|api_?key|private_?key|credential)[A-Za-z0-9_-]*)
        ["']?\s*(?:=|:)\s*["']?(?P<value>[^\s"'$`<>{}()|;]{8,})["']?(?=\s|;|$|["'])""",
    re.IGNORECASE | re.VERBOSE,
)
LEAST_BITS = 2.5  # of an assigned value with a digit in it, per character: a random one of 12 has about 3.5


def bits_per_character(text: str) -> float:
    """Shannon's entropy of its characters."""
    return -sum(n / len(text) * math.log2(n / len(text)) for n in Counter(text).values()) if text else 0.0


def secrets_in(bundle: Bundle) -> list[Finding]:
    """Never repeats the secret itself."""
    return _found(_texts(bundle))


def secrets_in_words(words: dict[str, str | list]) -> list[Finding]:
    """Of what a listing says: {column: text, or tests}."""
    return _found({name: said if isinstance(said, str) else _plain(said) for name, said in words.items()})


def _found(texts: dict[str, str]) -> list[Finding]:
    return [
        Finding(
            "secrets",
            "error",
            place,
            line if place == "readme" or place.startswith("script") else 0,
            f"This looks like {what}.",
        )
        for place, text in texts.items()
        for line, what in secrets_of(text)
    ]


def secrets_of(text: str) -> Iterator[tuple[int, str]]:
    """(line, what it looks like)"""
    for number, line in enumerate(text.splitlines(), start=1):
        shapes = [what for what, shape in SHAPES.items() if shape.search(line)]
        yield from ((number, what) for what in shapes)
        if not shapes:
            found = [each for each in ASSIGNED.finditer(line) if _is_random(each["value"])]
            yield from ((number, f"a secret assigned to {each['name']}") for each in found)


def _is_random(value: str) -> bool:
    is_path = value.startswith(("/", "./", "~"))
    return not is_path and bits_per_character(value) >= LEAST_BITS and bool(re.search(r"\d", value))


def _texts(bundle: Bundle) -> dict[str, str]:
    rest = bundle.model_dump(mode="json", exclude={"script": True, "scripts": True, "about": {"readme"}})
    rest["persona"]["settings"] = _without_references(rest["persona"]["settings"])
    pieces = {part: _plain(value) for part, value in rest.items() if isinstance(value, (dict, list))}
    pieces |= {bundle.place_of(script): script.body for script in bundle.carried}
    pieces |= {"persona": pieces["persona"] + "".join(_around(script) for script in bundle.carried)}
    if bundle.about:
        pieces["readme"] = bundle.about.readme
    return pieces


def _without_references(settings: dict) -> dict:
    """`DB_PASSWORD: db-password-2` assigns no secret: it is what one is called."""
    return renamed(settings, scripts={}, secrets=dict.fromkeys(secrets_asked(settings), "")) | {
        "secret_names": secrets_asked(settings)
    }


def _around(script: BundledScript) -> str:
    """What is said of a script beside its text, each default as the assignment that it is."""
    said = [script.name, script.description]
    for parameter in script.parameters or []:
        values = [parameter.default, *(parameter.choices or [])]
        said += [
            parameter.description,
            *(f"{parameter.name}={value}" for value in values if value is not None),
        ]
    return "".join(f"\n{each}" for each in said)


def _plain(value: dict | list) -> str:
    """Its JSON with quotes and line ends as they were written: a value is found in a command too."""
    return canonical_json(value).replace(r"\n", "\n").replace(r"\"", '"')
