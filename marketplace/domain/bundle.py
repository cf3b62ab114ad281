"""A release as one file: a persona with everything that it needs, as canonical bytes.

The bytes are the canonical JSON (personas/domain/canonical.py) of a `Bundle`; their SHA-256 is the release's digest.
`unpack` checks size and digest before it parses, then every field, before anything is used.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from packaging.version import Version
from pydantic import AfterValidator, Field, StringConstraints, ValidationError, model_validator

from marketplace.domain.script_entries import entries_of, secrets_asked
from personas.domain.canonical import canonical_json
from personas.domain.drivers import Driver
from personas.domain.nesting import MOST_LEVELS, levels
from personas.domain.part import Part
from personas.domain.scripts import Parameter, dump_parameters, parse_parameters
from personas.domain.security_groups import SecurityGroup
from personas.domain.settings import InvalidSettings, Resources, Slug, told, validate_document
from personas.domain.storable import unstorable

FORMAT = "migration-personas/bundle@1"  # at most one `script`, that says no more than its text
FORMAT_SCRIPTS = (
    "migration-personas/bundle@2"  # `scripts`; who reads only the first refuses it, and runs no half
)
MOST_BYTES = 1024 * 1024  # a script may have 256 KiB; the rest is small
MOST_SCRIPTS = 32


def _licence(expression: str) -> str:
    try:
        return str(canonicalize_license_expression(expression))
    except InvalidLicenseExpression:
        raise ValueError("is no SPDX licence expression, as in Apache-2.0 or MIT") from None


def _settings(document: dict) -> dict:
    try:
        return validate_document(document)
    except InvalidSettings as error:
        raise ValueError("; ".join(error.lines())) from None


NUMBER = r"(0|[1-9]\d{0,5})"
VERSION = re.compile(rf"{NUMBER}\.{NUMBER}\.{NUMBER}(-(alpha|beta|rc)\.{NUMBER})?", re.ASCII)
"""Semver, and of its pre-releases those that `packaging` orders in the same way; each has one spelling."""


def _version(words: str) -> str:
    if not VERSION.fullmatch(words):
        raise ValueError(
            "is no version: write three numbers, as in 1.2.3, or a pre-release, as in 1.2.3-rc.1"
        )
    return words


Semver = Annotated[str, AfterValidator(_version)]
Licence = Annotated[str, StringConstraints(min_length=1, max_length=120), AfterValidator(_licence)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=80)]
Words = Annotated[str, StringConstraints(max_length=400)]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
CHANGE_KINDS = ("added", "changed", "deprecated", "removed", "fixed", "security")


class Change(Part):
    kind: Literal["added", "changed", "deprecated", "removed", "fixed", "security"]
    text: Annotated[str, StringConstraints(min_length=1, max_length=400)]


class Named(Part):
    slug: Slug
    name: Name
    description: Words = ""


class BundledDriverSet(Named):
    drivers: list[Driver]
    distributions: list[str] = Field(default_factory=list)


class BundledResources(Named, Resources):
    pass


class BundledNetwork(Named):
    bandwidth_mbps: Annotated[int, Field(ge=1, le=400_000)] | None = None
    addressing: Literal["", "keep", "dhcp"] = ""
    security_groups: list[SecurityGroup] = Field(default_factory=list)


def _declared(parameters: list[Parameter]) -> list[Parameter]:
    return parse_parameters([parameter.model_dump() for parameter in parameters])  # none of them twice


class BundledScript(Named):
    """`parameters`: what it asks for, with types and defaults. Of a secret there is only a name, in the settings."""

    interpreter: Literal["sh", "bash", "python3", "pwsh"]
    body: Annotated[str, StringConstraints(min_length=1, max_length=256 * 1024, strip_whitespace=False)]
    parameters: Annotated[list[Parameter], Field(max_length=50), AfterValidator(_declared)] | None = None

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.body.encode()).hexdigest()

    @property
    def meaning(self) -> list:
        """All of it that decides what runs."""
        return [self.interpreter, self.sha256, dump_parameters(self.parameters or [])]

    def left_open(self, entry: Mapping[str, Any]) -> list[Parameter]:
        """What it needs and neither the entry nor a default gives."""
        given = {**(entry.get("parameters") or {}), **(entry.get("secrets") or {})}
        needed = [each for each in self.parameters or [] if each.required and each.default is None]
        return [each for each in needed if each.name not in given]

    @property
    def length(self) -> str:
        lines = len(self.body.splitlines())
        return f"{lines} line{'' if lines == 1 else 's'}"

    @property
    def is_plain(self) -> bool:
        """Whether the first format has words for it."""
        return not self.parameters and self.interpreter != "pwsh"


class BundledPersona(Named):
    settings: Annotated[dict[str, Any], AfterValidator(_settings)]
    hints: list[Annotated[str, StringConstraints(min_length=1, max_length=128)]] = Field(default_factory=list)


class About(Part):
    """What its publisher says of it."""

    name: Name
    summary: Annotated[str, StringConstraints(max_length=200)] = ""
    readme: Annotated[str, StringConstraints(max_length=64 * 1024)] = ""
    category: Annotated[str, StringConstraints(max_length=16)] = "other"
    icon: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,32}$")] = "package"


class Upstream(Part):
    """The release that it was forked from; `address`: publisher/listing."""

    address: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_-]{1,63}/[a-z0-9_-]{1,63}$")]
    version: Semver
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class PersonaTest(Part):
    """`expect`: {dotted path: value} of the merge of `template` and the persona. `suits`: whether a hint of the persona
    meets the `software` of a machine."""

    name: Name
    template: Annotated[dict[str, Any], AfterValidator(_settings)] = Field(default_factory=dict)
    expect: dict[Annotated[str, StringConstraints(pattern=r"^[a-z0-9_.-]{1,80}$")], Any] = Field(
        default_factory=dict
    )
    software: list[Annotated[str, StringConstraints(max_length=128)]] = Field(default_factory=list)
    suits: bool | None = None


class Bundle(Part):
    """`persona.settings` names the driver set and the scripts by the slugs that they have here, and the secrets by the
    names that its publisher gave them: whoever installs it says which of its own they are."""

    format: Literal["migration-personas/bundle@1", "migration-personas/bundle@2"] = FORMAT
    publisher: Slug
    listing: Slug
    version: Semver
    licence: Licence
    changelog: list[Change] = Field(default_factory=list)
    about: About | None = None
    tests: Annotated[list[PersonaTest], Field(max_length=50)] | None = None
    forked_from: Upstream | None = None
    persona: BundledPersona
    driver_set: BundledDriverSet | None = None
    resource_profile: BundledResources | None = None
    network_profile: BundledNetwork | None = None
    script: BundledScript | None = None
    scripts: Annotated[list[BundledScript], Field(min_length=1, max_length=MOST_SCRIPTS)] | None = None

    @model_validator(mode="after")
    def _says_what_it_runs(self):
        if (self.format == FORMAT_SCRIPTS) != bool(self.scripts) or (self.script and self.scripts):
            raise ValueError(f"`scripts` belong to {FORMAT_SCRIPTS}, which has no `script`")
        if self.script and not self.script.is_plain:
            raise ValueError(f"{self.script.slug} has what only {FORMAT_SCRIPTS} can say")
        named = {entry["name"] for entry in entries_of(self.persona.settings)}
        carried = [script.slug for script in self.carried]
        if missing := sorted(named - set(carried)):
            raise ValueError(f"the settings run {', '.join(missing)}, which it does not carry")
        if self.scripts and sorted(named) != sorted(carried):
            raise ValueError("it carries a script that its settings do not run, or one twice")
        return self

    @property
    def carried(self) -> list[BundledScript]:
        """Its scripts, each once."""
        return self.scripts or ([self.script] if self.script else [])

    @property
    def runs(self) -> list[tuple[BundledScript, dict[str, Any]]]:
        """Every running of a script, with the entry that says when and with what."""
        if self.script:
            return [(self.script, {"name": self.script.slug})]
        by_slug = {script.slug: script for script in self.carried}
        return [(by_slug[entry["name"]], entry) for entry in entries_of(self.persona.settings)]

    def place_of(self, script: BundledScript) -> str:
        """How a finding names it."""
        return "script" if self.script else f"scripts.{script.slug}"

    @property
    def secret_names(self) -> list[str]:
        return secrets_asked(self.persona.settings)

    @property
    def parameters_asked(self) -> dict[str, Parameter]:
        """{script.VARIABLE: parameter} of what its publisher leaves to whoever installs it; a script that runs twice
        asks once."""
        return {
            f"{script.slug}.{parameter.name}": parameter
            for script, entry in self.runs
            for parameter in script.left_open(entry)
        }

    @property
    def commands(self) -> list[str]:
        return commands_of(self.persona.settings)

    @property
    def root_words(self) -> str:
        """What it runs as root: `script`, `3 scripts and commands`, `commands`, or empty."""
        count = len(self.carried)
        scripts = ["script" if count == 1 else f"{count} scripts"] if count else []
        return " and ".join([*scripts, *(["commands"] if self.commands else [])])

    @property
    def root_sha256(self) -> str:
        """Of all that it runs as root: the script's own where that is all, empty where it runs nothing. In the second
        format with what they are given too: another parameter or secret is another thing to have read."""
        if self.scripts:
            texts = [[each.slug, *each.meaning] for each in self.scripts]
            told = {"commands": self.commands, "entries": entries_of(self.persona.settings), "scripts": texts}
            return digest(canonical_json(told).encode())
        script_sha256 = self.script.sha256 if self.script else ""
        if not self.commands:
            return script_sha256
        return digest(canonical_json({"commands": self.commands, "script": script_sha256}).encode())


def scripts_said(scripts: list[dict[str, Any]], settings: dict[str, Any]) -> dict[str, Any]:
    """The fields of a bundle for its scripts: the first format wherever that can say it, so that the same persona has
    the same bytes as ever and whoever reads only that format can read it."""
    if not scripts:
        return {}
    entries = entries_of(settings)
    is_plain = not scripts[0].get("parameters") and scripts[0]["interpreter"] != "pwsh"
    if len(scripts) == 1 and is_plain and entries in ([], [{"name": scripts[0]["slug"]}]):
        return {"script": {name: value for name, value in scripts[0].items() if name != "parameters"}}
    named = {entry["name"] for entry in entries}
    run = sorted((each for each in scripts if each["slug"] in named), key=lambda each: each["slug"])
    return {"format": FORMAT_SCRIPTS, "scripts": run} if run else {}


def commands_of(settings: dict[str, Any]) -> list[str]:
    """What the acceptance checks run as root in the guest, each once."""
    checks = settings.get("acceptance_checks") or []
    return list(dict.fromkeys(check["command"] for check in checks if check["kind"] == "command"))


class UnreadableBundle(ValueError):
    """The bytes are no bundle: too large, no JSON, nested too deeply, or not what they were."""


def version_key(version: str) -> Version:
    """For sorting: 1.10.0 comes after 1.9.0, and 1.10.0-rc.1 between them."""
    return Version(version)


def preference(version: str) -> tuple[bool, Version]:
    """For choosing: a pre-release only where there is nothing else, as `packaging` chooses."""
    key = version_key(version)
    return not key.is_prerelease, key


def pack(bundle: Bundle) -> bytes:
    return canonical_json(bundle.model_dump(mode="json", exclude_none=True)).encode()


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def bundle_of(data: dict[str, Any]) -> Bundle:
    """Raises InvalidSettings naming every field that is wrong."""
    try:
        return Bundle.model_validate(data)
    except ValidationError as error:
        raise InvalidSettings([told(e) for e in error.errors()], layer="bundle") from None


def unpack(content: bytes, *, sha256: str) -> Bundle:
    """The digest is checked before anything is parsed. Raises UnreadableBundle, InvalidSettings."""
    if len(content) > MOST_BYTES:
        raise UnreadableBundle(f"The bundle is larger than {MOST_BYTES // 1024} KiB.")
    if digest(content) != sha256:
        raise UnreadableBundle("The bundle's bytes are not those that were published.")
    try:
        data = json.loads(content)
    except (ValueError, RecursionError):
        raise UnreadableBundle("The bundle is no JSON that could be read.") from None
    if levels(data) > MOST_LEVELS:
        raise UnreadableBundle(f"The bundle is nested deeper than {MOST_LEVELS} levels.")
    if where := unstorable(data):
        raise UnreadableBundle(f"The bundle holds text that can't be stored: {where}")
    return bundle_of(data)
