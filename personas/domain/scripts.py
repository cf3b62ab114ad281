"""A post-migration script as a setting: when it runs, where, and with what. Values are data and stay data: they reach
the script as environment variables, never as a part of its text. Pure.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, Field, StringConstraints, TypeAdapter, ValidationError, model_validator

from personas.domain.part import Part

Phase = Literal["first_boot", "after_network", "after_checks"]
PHASES: tuple[str, ...] = get_args(Phase)
"""In the order in which they come: the guest answers for the first time; filters, bandwidth and tags are set and the
machine is verified; the acceptance checks have passed."""
USUAL_PHASE, USUAL_ORDER = "after_network", 100
RESERVED = frozenset({
    "PATH", "HOME", "SHELL", "IFS", "ENV", "BASH_ENV", "SHELLOPTS", "BASHOPTS", "PS4", "PWD", "PYTHONPATH",
    "PYTHONHOME", "PYTHONSTARTUP",
})  # fmt: skip  # what would change the interpreter instead of telling the script something


def _free_name(name: str) -> str:
    if name in RESERVED or name.startswith("LD_"):
        raise ValueError(f"{name} belongs to the guest's own environment; take another name")
    return name


EnvName = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]{0,62}$"), AfterValidator(_free_name)]
LONGEST = 4096  # characters of a value
Value = Annotated[str, StringConstraints(max_length=LONGEST, pattern=r"^[^\x00]*$", strip_whitespace=False)]
ScriptName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
SecretName = ScriptName
OsId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9._-]{0,31}$")]


class ScriptRef(Part):
    """One entry of `post_migration.scripts`. What is absent is as ever."""

    name: ScriptName
    phase: Phase | None = Field(None, description="first_boot, after_network (as ever) or after_checks.")
    order: Annotated[int, Field(ge=0, le=9999)] | None = Field(
        None, description="Within its phase, lower first; 100 as ever. Equal ones keep the order of the list."
    )
    os: list[OsId] | None = Field(None, description="os-release IDs; on any other system it is skipped.")
    timeout_s: Annotated[int, Field(ge=1, le=24 * 3600)] | None = None
    retries: Annotated[int, Field(ge=0, le=5)] | None = Field(
        None, description="How often it is begun anew when it fails; 0 as ever."
    )
    parameters: dict[EnvName, Value | int | bool] | None = None
    secrets: dict[EnvName, SecretName] | None = Field(
        None, description="Variable → slug of a secret of the machine's own department."
    )

    @model_validator(mode="after")
    def _one_meaning(self):
        if both := sorted(set(self.parameters or ()) & set(self.secrets or ())):
            raise ValueError(f"{', '.join(both)} is both a parameter and a secret")
        return self


class Parameter(Part):
    """What a script asks for. Without `default` it must be given, unless it is not `required`."""

    name: EnvName
    kind: Literal["string", "integer", "boolean", "choice"] = "string"
    default: Value | int | bool | None = None
    choices: list[Value] | None = None
    required: bool = True
    description: Annotated[str, StringConstraints(max_length=200)] = ""

    @model_validator(mode="after")
    def _consistent(self):
        if (self.kind == "choice") != bool(self.choices):
            raise ValueError("choices belong to the kind choice, and it needs at least one")
        if self.default is not None and (wrong := misfit(self, self.default)):
            raise ValueError(f"the default {wrong}")
        return self


class BadParameters(ValueError):
    """`problems`: one sentence for each."""

    def __init__(self, problems: list[str]):
        self.problems = problems
        super().__init__(" ".join(problems))


_PARAMETERS: TypeAdapter = TypeAdapter(list[Parameter])


def parse_parameters(declared: Any) -> list[Parameter]:
    """Raises BadParameters."""
    try:
        found = _PARAMETERS.validate_python(declared)
    except ValidationError as error:
        raise BadParameters([_told(each) for each in error.errors()]) from None
    names = [parameter.name for parameter in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise BadParameters([f"{', '.join(twice)} is declared twice."])
    return found


def _told(error: Mapping[str, Any]) -> str:
    at, *inner = [str(part) for part in error["loc"]] or ["?"]
    where = f"Parameter {int(at) + 1}" if at.isdigit() else "The parameters"
    message = error["msg"].removeprefix("Value error, ")
    return f"{where}{', ' + inner[0] if inner else ''}: {message}."


def dump_parameters(parameters: Iterable[Parameter]) -> list[dict[str, Any]]:
    return [parameter.model_dump(mode="json", exclude_defaults=True) for parameter in parameters]


def environment(
    declared: Sequence[Parameter], given: Mapping[str, Any], secrets: Iterable[str] = ()
) -> dict[str, str]:
    """What the script finds in its environment, secrets left out: given values and defaults, as text (a boolean is true
    or false). Raises BadParameters: unknown, missing, of the wrong type."""
    known = {parameter.name: parameter for parameter in declared}
    problems = [f"It has no parameter {name}." for name in given if name not in known]
    values: dict[str, str] = {}
    for name, parameter in known.items():
        value = given.get(name, parameter.default)
        if value is None:
            if parameter.required and name not in set(secrets):
                problems.append(f"Its parameter {name} is not given.")
        elif wrong := misfit(parameter, value):
            problems.append(f"Its parameter {name} {wrong}.")
        else:
            values[name] = as_text(value)
    if problems:
        raise BadParameters(problems)
    return values


def misfit(parameter: Parameter, value: Any) -> str:
    """What is wrong with the value, after the parameter's name; empty where nothing is."""
    if parameter.kind == "integer" and (not isinstance(value, int) or isinstance(value, bool)):
        return f"must be a whole number, not {value!r}"
    if parameter.kind == "boolean" and not isinstance(value, bool):
        return f"must be true or false, not {value!r}"
    if parameter.kind == "string" and not isinstance(value, str):
        return f"must be text, not {value!r}"
    if isinstance(value, str) and ("\0" in value or len(value) > LONGEST):
        return f"must be text of at most {LONGEST} characters, without a null among them"
    if parameter.kind == "choice" and value not in (parameter.choices or ()):
        return f"must be one of {', '.join(parameter.choices or ())}, not {value!r}"
    return ""


def as_text(value: str | int | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def in_run_order(entries: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """By phase, then order, then place in the list."""
    return sorted(
        entries,
        key=lambda entry: (PHASES.index(entry.get("phase") or USUAL_PHASE), _order(entry)),
    )


def _order(entry: Mapping[str, Any]) -> int:
    order = entry.get("order")
    return USUAL_ORDER if order is None else order


def entry_words(entry: Mapping[str, Any]) -> str:
    """`tune (after_checks, debian, PORT=5432, PASSWORD from db-password)`; only the name where nothing else is said."""
    said = [entry.get("phase") or "", *(entry.get("os") or ())]
    said += [f"{name}={as_text(value)}" for name, value in (entry.get("parameters") or {}).items()]
    said += [f"{name} from {secret}" for name, secret in (entry.get("secrets") or {}).items()]
    told = ", ".join(word for word in said if word)
    return f"{entry['name']} ({told})" if told else str(entry["name"])
