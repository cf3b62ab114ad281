"""Security groups: what is let in; the rest is dropped. As data, and as the lines that people type.

[db-internal]
tcp 5432 from 10.0.0.0/8
tcp 8000-8100 from 0.0.0.0/0
icmp from 10.0.0.0/8
"""

import ipaddress
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError, model_validator

from personas.domain.part import Part
from personas.domain.settings import InvalidSettings, Slug, told

Port = Annotated[int, Field(ge=1, le=65535)]


def _network(text: str) -> str:
    """The network in its canonical writing. Host bits are an error: 10.0.0.1/8 is more often a slip than a wish."""
    return str(ipaddress.ip_network(text))


class Rule(Part):
    direction: Literal["ingress"] = "ingress"
    protocol: Literal["tcp", "udp", "icmp"]
    port_from: Port | None = None
    port_to: Port | None = None
    cidr: Annotated[str, AfterValidator(_network)] = "0.0.0.0/0"

    @model_validator(mode="after")
    def _ports_fit_protocol(self):
        if self.protocol == "icmp":
            if self.port_from or self.port_to:
                raise ValueError("icmp has no ports")
        elif self.port_from is None or self.port_to is None:
            raise ValueError(f"{self.protocol} needs port_from and port_to")
        elif self.port_from > self.port_to:
            raise ValueError("port_from is above port_to")
        return self


class SecurityGroup(Part):
    name: Slug
    rules: list[Rule] = Field(default_factory=list)


GROUPS = TypeAdapter(list[SecurityGroup])
LINE = re.compile(
    r"^(?P<protocol>[a-z]+)(?:\s+(?P<first>\d+)(?:\s*-\s*(?P<last>\d+))?)?(?:\s+from\s+(?P<cidr>\S+))?$", re.I
)


def parse_groups(groups: Any) -> list[SecurityGroup]:
    """Raises InvalidSettings naming each wrong leaf (`0.rules.1.cidr`), or a name used twice."""
    try:
        parsed = GROUPS.validate_python(groups)
    except ValidationError as error:
        raise InvalidSettings([told(e) for e in error.errors()]) from None
    names = [group.name for group in parsed]
    twice = [
        {"field": f"{index}.name", "message": "is in this profile already", "value": name}
        for index, name in enumerate(names)
        if name in names[:index]
    ]
    if twice:
        raise InvalidSettings(twice)
    return parsed


def dump_groups(groups: list[SecurityGroup]) -> list[dict[str, Any]]:
    """As they are stored: plain data; the direction and the network are always written out."""
    return [group.model_dump(mode="json", exclude_none=True) for group in groups]


def from_text(text: str) -> list[dict[str, Any]]:
    """The lines of the module's docstring as data, not yet checked further than their form. Empty lines and `#`
    comments are left out. Raises InvalidSettings whose `field` is `line N`."""
    groups: list[dict[str, Any]] = []
    wrong = []
    for number, line in enumerate(text.splitlines(), start=1):
        said = line.partition("#")[0].strip()
        if said.startswith("[") and said.endswith("]"):
            groups.append({"name": said[1:-1].strip(), "rules": []})
        elif said and not groups:
            wrong.append(
                {
                    "field": f"line {number}",
                    "message": "begin with the group's name, as in [web]",
                    "value": said,
                }
            )
        elif said and (match := LINE.match(said)):
            groups[-1]["rules"].append(_rule(match))
        elif said:
            message = "is no rule; write it like: tcp 5432 from 10.0.0.0/8"
            wrong.append({"field": f"line {number}", "message": message, "value": said})
    if wrong:
        raise InvalidSettings(wrong)
    return groups


def _rule(match: re.Match) -> dict[str, Any]:
    rule: dict[str, Any] = {"protocol": match["protocol"].lower()}
    if match["first"]:
        rule |= {"port_from": int(match["first"]), "port_to": int(match["last"] or match["first"])}
    if match["cidr"]:
        rule["cidr"] = match["cidr"]
    return rule


def to_text(groups: list[dict[str, Any]]) -> str:
    """The inverse of `from_text`, for groups that are valid."""
    return "\n\n".join("\n".join([f"[{g['name']}]", *map(rule_text, g.get("rules", []))]) for g in groups)


def rule_text(rule: dict[str, Any]) -> str:
    """`tcp 8000-8100 from 10.0.0.0/8`."""
    first, last = rule.get("port_from"), rule.get("port_to")
    ports = "" if first is None else f" {first}" if first == last else f" {first}-{last}"
    return f"{rule['protocol']}{ports} from {rule.get('cidr', '0.0.0.0/0')}"


def group_words(group: Mapping[str, Any]) -> str:
    """`web: tcp 443 from 0.0.0.0/0, icmp from 10.0.0.0/8`."""
    return f"{group['name']}: {', '.join(map(rule_text, group['rules'])) or 'nothing'}"


def rules_by_name(
    names: list[str], profiles: list[list[dict[str, Any]]]
) -> tuple[dict[str, list[dict]], list[str]]:
    """({group name: its rules}, [names that no profile defines]). `profiles` are the groups of network profiles,
    the most important first: the first that defines a name wins."""
    defined: dict[str, list[dict]] = {}
    for groups in profiles:
        for group in groups:
            defined.setdefault(group["name"], group.get("rules", []))
    return {name: defined[name] for name in names if name in defined}, [
        name for name in names if name not in defined
    ]
