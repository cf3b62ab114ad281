"""JSON columns as typed fields of the schema, and the department that a new row gets when none is named."""

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from personas.domain.scripts import PHASES
from personas.errors import BadInput
from personas.models import Department

WORDS = {"type": "array", "items": {"type": "string"}}
RULE = {
    "type": "object",
    "required": ["protocol"],
    "properties": {
        "direction": {"type": "string", "enum": ["ingress"]},
        "protocol": {"type": "string", "enum": ["tcp", "udp", "icmp"]},
        "port_from": {"type": "integer", "minimum": 1, "maximum": 65535},
        "port_to": {"type": "integer", "minimum": 1, "maximum": 65535},
        "cidr": {"type": "string"},
    },
}
GROUPS = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["name"],
        "properties": {"name": {"type": "string"}, "rules": {"type": "array", "items": RULE}},
    },
}
DRIVERS = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["name"],
        "properties": {
            "name": {"type": "string"},
            "version": {"type": "string"},
            "kernel_modules": WORDS,
            "packages": WORDS,
            "devices": {"type": "object", "additionalProperties": {"type": "string"}},
        },
    },
}
CHECKS = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["kind"],
        "properties": {"kind": {"type": "string", "enum": ["tcp", "http", "systemd_unit"]}},
        "additionalProperties": True,
    },
}

VARIABLES = {"type": "object", "additionalProperties": {"type": ["string", "integer", "boolean"]}}
SCRIPTS = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["name"],
        "properties": {
            "name": {"type": "string"},
            "phase": {"type": "string", "enum": list(PHASES)},
            "order": {"type": "integer", "minimum": 0, "maximum": 9999},
            "os": WORDS,
            "timeout_s": {"type": "integer", "minimum": 1, "maximum": 86400},
            "retries": {"type": "integer", "minimum": 0, "maximum": 5},
            "parameters": VARIABLES,
            "secrets": {"type": "object", "additionalProperties": {"type": "string"}},
        },
    },
}
PARAMETERS = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["name"],
        "properties": {
            "name": {"type": "string"},
            "kind": {"type": "string", "enum": ["string", "integer", "boolean", "choice"]},
            "default": {"type": ["string", "integer", "boolean", "null"]},
            "choices": WORDS,
            "required": {"type": "boolean"},
            "description": {"type": "string"},
        },
    },
}


@extend_schema_field(SCRIPTS)
class ScriptsField(serializers.JSONField):
    pass


@extend_schema_field(PARAMETERS)
class ParametersField(serializers.JSONField):
    pass


@extend_schema_field(WORDS)
class WordsField(serializers.JSONField):
    pass


@extend_schema_field({"type": "object", "additionalProperties": {"type": ["string", "null"]}})
class MapField(serializers.JSONField):
    pass


@extend_schema_field(GROUPS)
class SecurityGroupsField(serializers.JSONField):
    pass


@extend_schema_field(DRIVERS)
class DriversField(serializers.JSONField):
    pass


@extend_schema_field(CHECKS)
class ChecksField(serializers.JSONField):
    pass


@extend_schema_field({"type": "object", "additionalProperties": True})
class DocumentField(serializers.JSONField):
    """A settings document."""


def department_for(user, given: dict) -> Department | None:
    """Takes `department` out of the validated data; left out, it is the only one in which the user is admin, or for a
    superuser the organisation (None)."""
    if "department" in given:
        return given.pop("department")
    if user.is_superuser:
        return None
    mine = list(Department.objects.administered_by(user)[:2])
    if len(mine) != 1:
        raise BadInput({"department": ["Name the department: you are admin in more than one, or in none."]})
    return mine[0]
