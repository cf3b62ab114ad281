"""What must be true of a machine before it counts as migrated, as data: the kinds of acceptance checks."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, StringConstraints, TypeAdapter

from personas.domain.part import Part

Port = Annotated[int, Field(ge=1, le=65535)]


class Check(Part):
    must_pass: bool = Field(True, description="false: advisory; it is told, and the run goes on.")


class TcpCheck(Check):
    kind: Literal["tcp"]
    port: Port


class HttpCheck(Check):
    kind: Literal["http"]
    port: Port = 80
    path: Annotated[str, StringConstraints(pattern=r"^/[^\s]{0,499}$")] = "/"
    status: Annotated[int, Field(ge=100, le=599)] = 200
    text: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = Field(
        None, description="Must be in the answer."
    )


class UnitCheck(Check):
    kind: Literal["systemd_unit"]
    unit: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9@._:-]{1,127}$")]


class MountCheck(Check):
    kind: Literal["mount"]
    path: Annotated[str, StringConstraints(pattern=r"^/[A-Za-z0-9._/-]{0,254}$")]


class PackageCheck(Check):
    kind: Literal["package"]
    package: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9+._-]{0,127}$")]


class CommandCheck(Check):
    kind: Literal["command"]
    command: Annotated[str, StringConstraints(min_length=1, max_length=1000, pattern=r"^[^\x00]+$")] = Field(
        description="For sh, as root in the guest. It may be asked several times within a minute."
    )
    exit_code: Annotated[int, Field(ge=0, le=255)] = 0
    timeout_s: Annotated[int, Field(ge=1, le=600)] = 30


class BootTimeCheck(Check):
    kind: Literal["boot_time"]
    at_most_s: Annotated[int, Field(ge=1, le=3600)]


AcceptanceCheck = Annotated[
    TcpCheck | HttpCheck | UnitCheck | MountCheck | PackageCheck | CommandCheck | BootTimeCheck,
    Field(discriminator="kind"),
]
KINDS = tuple(
    get_args(kind.model_fields["kind"].annotation)[0] for kind in get_args(get_args(AcceptanceCheck)[0])
)
TELLING = ("port", "path", "status", "text", "unit", "package", "command", "exit_code", "at_most_s")
_ADAPTER: TypeAdapter = TypeAdapter(AcceptanceCheck)


def complete(check: Mapping[str, Any]) -> dict[str, Any]:
    """With its defaults filled in, so that two ways of writing the same check are one item of a list.

    `must_pass` stands only where it is false: a check of before it existed keeps its hash.
    """
    filled = _ADAPTER.validate_python(check).model_dump(mode="json", exclude_none=True)
    return {key: value for key, value in filled.items() if (key, value) != ("must_pass", True)}


def check_words(check: Mapping[str, Any]) -> str:
    """`http 80 /health 200`; an advisory one says so."""
    said = [str(check[name]) for name in TELLING if check.get(name) not in (None, "")]
    advisory = [] if check.get("must_pass", True) else ["(advisory)"]
    return " ".join([str(check.get("kind", "")), *said, *advisory])


def check_subject(check: Mapping[str, Any]) -> str:
    """What is looked at, without what is expected of it: `http 80 /health`."""
    expected = ("status", "text", "exit_code", "at_most_s", "must_pass")
    return check_words({key: value for key, value in check.items() if key not in expected})
