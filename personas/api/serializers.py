"""The app's rows on the wire. `create` and `update` call the services; what a row may hold is checked there."""

from rest_framework import serializers

from personas.api.base import DepartmentField, KnownFields, ScopedRelatedField
from personas.api.fields import (
    ChecksField,
    DocumentField,
    DriversField,
    MapField,
    ParametersField,
    ScriptsField,
    SecurityGroupsField,
    WordsField,
    department_for,
)
from personas.models import (
    ApiToken,
    AuditEntry,
    Department,
    DriverSet,
    Membership,
    NetworkProfile,
    Persona,
    PersonaNotice,
    PersonaRevision,
    ResourceProfile,
    Role,
    Script,
    ScriptRevision,
    Secret,
)
from personas.models.script import Interpreter
from personas.models.token import Scope
from personas.services import departments, parts, personas, scripts, secrets

OWNED = ["id", "name", "slug", "description", "department", "created_at", "updated_at"]


class OwnedSerializer(KnownFields, serializers.ModelSerializer):
    """`make` and `change` are the services of the row."""

    department = DepartmentField(
        required=False, allow_null=True, help_text="Empty: the organisation's, seen by all."
    )

    def create(self, validated):
        user = self.context["request"].user
        return self.make(by=user, department=department_for(user, validated), **validated)

    def update(self, row, validated):
        return self.change(row, by=self.context["request"].user, **validated)


class PartSerializer(OwnedSerializer):
    def make(self, **fields):
        return parts.part_create(model=self.Meta.model, **fields)

    def change(self, row, **fields):
        return parts.part_update(part=row, **fields)


class DriverSetSerializer(PartSerializer):
    drivers = DriversField(
        help_text="DefaultDriverSet points here: kernel modules, packages and device models by driver."
    )
    distributions = WordsField(required=False, help_text="os-release IDs that it is made for; empty for any.")

    class Meta:
        model = DriverSet
        fields = [*OWNED, "drivers", "distributions"]
        validators = []


class ResourceProfileSerializer(PartSerializer):
    class Meta:
        model = ResourceProfile
        fields = [*OWNED, "vcpus", "memory_mib", "root_disk_gib"]
        validators = []


class NetworkProfileSerializer(PartSerializer):
    security_groups = SecurityGroupsField(required=False, help_text="What is let in; the rest is dropped.")

    class Meta:
        model = NetworkProfile
        fields = [*OWNED, "bandwidth_mbps", "addressing", "security_groups"]
        validators = []


class ScriptRevisionSerializer(serializers.ModelSerializer):
    parameters = ParametersField()

    class Meta:
        model = ScriptRevision
        fields = ["number", "interpreter", "body", "parameters", "sha256", "created_at"]


class ScriptSerializer(OwnedSerializer):
    interpreter = serializers.ChoiceField(choices=Interpreter.choices, required=False)
    body = serializers.CharField(
        trim_whitespace=False, max_length=256 * 1024, help_text="A new text is a new revision."
    )
    parameters = ParametersField(
        required=False, help_text="What it asks for; it finds them in its environment."
    )
    revision = serializers.IntegerField(source="newest.number", read_only=True, default=None)
    sha256 = serializers.CharField(source="newest.sha256", read_only=True, default=None)

    approved = serializers.BooleanField(
        read_only=True, help_text="Whether a run may use this text; what was written here always."
    )

    class Meta:
        model = Script
        fields = [
            *OWNED,
            "interpreter",
            "body",
            "parameters",
            "revision",
            "sha256",
            "origin",
            "approved",
            "archived_at",
        ]
        read_only_fields = ["archived_at", "origin"]
        validators = []

    def to_representation(self, script):
        script.newest = newest = script.latest  # one query instead of one per field
        script.interpreter, script.body = (newest.interpreter, newest.body) if newest else ("", "")
        script.parameters = newest.parameters if newest else []
        script.approved = bool(newest) and script.is_approved(newest.sha256)
        return super().to_representation(script)

    def make(self, **fields):
        return scripts.script_create(**fields)

    def change(self, script, **fields):
        return scripts.script_update(script=script, **fields)


class SecretSerializer(OwnedSerializer):
    value = serializers.CharField(
        write_only=True,
        trim_whitespace=False,
        max_length=secrets.LONGEST,
        help_text="Kept encrypted, never shown again; left out in a change, it stays.",
    )

    class Meta:
        model = Secret
        fields = [*OWNED, "value", "value_changed_at"]
        read_only_fields = ["value_changed_at"]
        validators = []

    def make(self, **fields):
        return secrets.secret_create(**fields)

    def change(self, secret, **fields):
        return secrets.secret_update(secret=secret, **fields)


class ScriptApproveSerializer(serializers.Serializer):
    sha256 = serializers.CharField(max_length=64, help_text="Of the text that you read.")


class PersonaNoticeSerializer(serializers.ModelSerializer):
    class Meta:
        model = PersonaNotice
        fields = ["source", "blocks", "text", "action", "since"]


class PersonaSerializer(OwnedSerializer):
    default_driver_set = ScopedRelatedField(
        queryset=DriverSet.objects.all(),
        required=False,
        allow_null=True,
        help_text="DefaultDriverSet: a driver set's id.",
    )
    resource_allocation_profile = ScopedRelatedField(
        queryset=ResourceProfile.objects.all(),
        required=False,
        allow_null=True,
        help_text="ResourceAllocationProfile.",
    )
    network_profile = ScopedRelatedField(
        queryset=NetworkProfile.objects.all(), required=False, allow_null=True, help_text="NetworkProfile."
    )
    post_migration_script = ScopedRelatedField(
        queryset=Script.objects.all(),
        required=False,
        allow_null=True,
        help_text="PostMigrationScript (optional).",
    )
    script_entries = ScriptsField(
        required=False,
        help_text="Further entries of post_migration.scripts, with phase, parameters, secrets.",
    )
    kernel_modules = WordsField(required=False)
    packages = WordsField(required=False)
    monitoring_tags = MapField(
        required=False, help_text="MonitoringTags: key and value; null un-says a template's tag."
    )
    acceptance_checks = ChecksField(required=False)
    list_modes = MapField(
        required=False, help_text="Per list: append (as ever) or replace; driver_set: extend."
    )
    unset = WordsField(required=False, help_text="Settings that the persona un-says.")
    hints = WordsField(required=False, help_text="Software names that speak for this persona.")
    revision = serializers.IntegerField(read_only=True)
    notices = PersonaNoticeSerializer(many=True, read_only=True)
    document = DocumentField(read_only=True, help_text="The persona in the words of the vocabulary.")

    class Meta:
        model = Persona
        fields = [
            *OWNED,
            "default_kernel_version",
            "default_kernel_intent",
            "default_distribution_name",
            "default_distribution_version",
            "default_distribution_intent",
            "default_driver_set",
            "resource_allocation_profile",
            "network_profile",
            "post_migration_script",
            "script_entries",
            "script_timeout_s",
            "script_must_pass",
            "kernel_modules",
            "packages",
            "disk_format",
            "disk_bus",
            "machine",
            "firmware",
            "monitoring_tags",
            "acceptance_checks",
            "list_modes",
            "unset",
            "hints",
            "archived_at",
            "revision",
            "notices",
            "document",
        ]
        read_only_fields = ["archived_at"]
        validators = []
        extra_kwargs = {
            "id": {"help_text": "PersonaID."},
            "name": {"help_text": "PersonaName."},
            "default_kernel_version": {
                "help_text": "DefaultKernelVersion: as `uname -r` prints it, or `>=6.1`."
            },
            "default_distribution_version": {
                "help_text": "DefaultDistributionVersion: VERSION_ID of os-release(5)."
            },
            "default_distribution_name": {"help_text": "ID of os-release(5), as in `debian`."},
        }

    def make(self, **fields):
        return personas.persona_create(**fields)

    def change(self, persona, **fields):
        return personas.persona_update(persona=persona, **fields)


class PersonaRevisionSerializer(serializers.ModelSerializer):
    document = DocumentField()

    class Meta:
        model = PersonaRevision
        fields = ["number", "document", "sha256", "created_at"]


class RowCloneSerializer(serializers.Serializer):
    """Where the copy goes, and its name; `<name> (copy)` when empty."""

    name = serializers.CharField(max_length=80, required=False, allow_blank=True)
    department = DepartmentField(required=False, allow_null=True)


class PersonaImportSerializer(serializers.Serializer):
    """What the document endpoint gives, and the department that it goes to."""

    department = DepartmentField(required=False, allow_null=True)
    name = serializers.CharField(max_length=80)
    slug = serializers.SlugField(max_length=63, required=False)
    description = serializers.CharField(max_length=400, required=False, allow_blank=True)
    hints = WordsField(required=False)
    settings = DocumentField(help_text="A settings document.")


class PersonaDocumentSerializer(serializers.Serializer):
    name = serializers.CharField()
    slug = serializers.CharField()
    description = serializers.CharField()
    hints = WordsField()
    settings = DocumentField()


class UserOfSerializer(serializers.Serializer):
    type = serializers.CharField()
    id = serializers.CharField()
    name = serializers.CharField()
    url = serializers.CharField(allow_blank=True)


class UsedBySerializer(serializers.Serializer):
    used_by = UserOfSerializer(many=True)
    hidden = serializers.IntegerField(help_text="How many more there are in departments that you do not see.")


class DepartmentSerializer(serializers.ModelSerializer):
    defaults = DocumentField(
        required=False, help_text="A settings document: the layer between template and persona."
    )

    class Meta:
        model = Department
        fields = ["id", "name", "slug", "defaults", "created_at"]

    def create(self, validated):
        return departments.department_create(by=self.context["request"].user, **validated)

    def update(self, department, validated):
        return departments.department_update(
            department=department, by=self.context["request"].user, **validated
        )


class MembershipSerializer(serializers.ModelSerializer):
    user = serializers.IntegerField(source="user_id", read_only=True)
    username = serializers.CharField(source="user.username")
    role = serializers.ChoiceField(choices=Role.choices)

    class Meta:
        model = Membership
        fields = ["user", "username", "role"]


class TokenSerializer(serializers.ModelSerializer):
    scopes = serializers.ListField(child=serializers.ChoiceField(choices=Scope.choices), allow_empty=False)

    class Meta:
        model = ApiToken
        fields = ["id", "name", "prefix", "scopes", "expires_at", "last_used_at", "revoked_at", "created_at"]
        read_only_fields = ["prefix", "last_used_at", "revoked_at"]


class NewTokenSerializer(TokenSerializer):
    secret = serializers.CharField(read_only=True, help_text="`mp_<prefix>_<secret>`: told this once.")

    class Meta(TokenSerializer.Meta):
        fields = [*TokenSerializer.Meta.fields, "secret"]


class AuditSerializer(serializers.ModelSerializer):
    before = DocumentField(allow_null=True)
    after = DocumentField(allow_null=True)

    class Meta:
        model = AuditEntry
        fields = [
            "id",
            "at",
            "actor_name",
            "department",
            "action",
            "object_type",
            "object_id",
            "object_name",
            "before",
            "after",
            "request_id",
        ]
