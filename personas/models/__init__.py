from personas.models.allowance import RunAllowance, RunSpend
from personas.models.audit import AuditEntry
from personas.models.department import Department, Membership, Role
from personas.models.notice import PersonaNotice
from personas.models.persona import Persona, PersonaRevision
from personas.models.profile import DriverSet, NetworkProfile, ResourceProfile
from personas.models.script import Script, ScriptApproval, ScriptRevision
from personas.models.secret import Secret
from personas.models.token import ApiToken
from personas.models.track_record import RunOutcome

__all__ = [
    "ApiToken",
    "AuditEntry",
    "Department",
    "DriverSet",
    "Membership",
    "NetworkProfile",
    "Persona",
    "PersonaNotice",
    "PersonaRevision",
    "ResourceProfile",
    "Role",
    "RunAllowance",
    "RunOutcome",
    "RunSpend",
    "Script",
    "ScriptApproval",
    "ScriptRevision",
    "Secret",
]
