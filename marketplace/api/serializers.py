"""The marketplace on the wire; `create` calls the services."""

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from marketplace.domain.bundle import CHANGE_KINDS
from marketplace.domain.manifest import manifest, manifest_hidden
from marketplace.models import Installation, Listing, Publisher, Release, Submission
from marketplace.services import forks, installing, publishing, submissions
from marketplace.services.entitlements import may_read
from personas.api.base import DepartmentField, ScopedRelatedField
from personas.api.fields import department_for
from personas.models import Persona, Role


class PublisherSerializer(serializers.ModelSerializer):
    department = DepartmentField(required=False, allow_null=True, help_text="Who publishes under this name.")

    class Meta:
        model = Publisher
        fields = [
            "id", "slug", "name", "description", "department", "needs_second_person", "domain", "verified_how",
            "verified_at", "told_verified", "told_since", "held_reason", "created_at",
        ]  # fmt: skip
        read_only_fields = [
            "domain", "verified_how", "verified_at", "told_verified", "told_since", "held_reason"
        ]  # fmt: skip
        validators: list = []
        extra_kwargs = {"slug": {"validators": []}}

    def update(self, publisher, validated):
        return publishing.publisher_update(publisher=publisher, by=self.context["request"].user, **validated)

    def create(self, validated):
        user = self.context["request"].user
        return publishing.publisher_create(by=user, department=department_for(user, validated), **validated)


class ReleaseChangeSerializer(serializers.Serializer):
    kind = serializers.ChoiceField(choices=CHANGE_KINDS)
    text = serializers.CharField(max_length=400)


class FindingSerializer(serializers.Serializer):
    check = serializers.CharField(help_text="lint, tests, shellcheck or secrets.")
    level = serializers.ChoiceField(
        choices=["error", "warning"], help_text="An error keeps it from being published."
    )
    place = serializers.CharField(help_text="What to change.")
    line = serializers.IntegerField(help_text="0: all of it.")
    text = serializers.CharField()


class AboutSerializer(serializers.ModelSerializer):
    class Meta:
        model = Listing
        fields = publishing.ABOUT
        extra_kwargs = {"name": {"required": False}}


class ReleaseAskedSerializer(serializers.Serializer):
    version = serializers.CharField(
        max_length=40, help_text="As 1.2.3, or a pre-release: 1.2.3-alpha.1, 1.2.3-beta.1, 1.2.3-rc.1."
    )
    licence = serializers.CharField(max_length=120, help_text="An SPDX expression.")
    changelog = ReleaseChangeSerializer(many=True, required=False)
    about = AboutSerializer(
        required=False,
        help_text="What the listing says from this version on; what is left out stays. With four eyes, its words are "
        "changed here only.",
    )


class SubmissionSerializer(serializers.ModelSerializer):
    author = serializers.SlugRelatedField(slug_field="username", read_only=True)
    decided_by = serializers.SlugRelatedField(slug_field="username", read_only=True)

    class Meta:
        model = Submission
        fields = [
            "id", "listing", "version", "sha256", "author", "created_at", "state", "decided_by", "decided_at", "reason",
        ]  # fmt: skip
        read_only_fields = fields


class ReasonSerializer(serializers.Serializer):
    reason = serializers.CharField(max_length=400)


class PermissionSerializer(serializers.Serializer):
    kind = serializers.CharField()
    text = serializers.CharField()
    is_grave = serializers.BooleanField()


class DeltaSerializer(serializers.Serializer):
    gained = PermissionSerializer(many=True)
    dropped = PermissionSerializer(many=True)


class UpstreamSerializer(serializers.Serializer):
    address = serializers.CharField(help_text="Publisher/listing.")
    version = serializers.CharField()
    sha256 = serializers.CharField()


class AskedParameterSerializer(serializers.Serializer):
    name = serializers.CharField(help_text="script.VARIABLE, as an installation names it.")
    kind = serializers.CharField(help_text="string, integer, boolean or choice.")
    choices = serializers.ListField(child=serializers.CharField(), allow_null=True)
    description = serializers.CharField()


class ReleaseSerializer(serializers.ModelSerializer):
    listing = serializers.PrimaryKeyRelatedField(read_only=True)
    changelog = ReleaseChangeSerializer(many=True, required=False)
    published_by = serializers.SlugRelatedField(slug_field="username", read_only=True)
    approved_by = serializers.SlugRelatedField(slug_field="username", read_only=True)
    permissions = serializers.SerializerMethodField()
    forked_from = UpstreamSerializer(source="bundled.forked_from", allow_null=True, read_only=True)
    script_sha256 = serializers.SerializerMethodField(
        help_text="What an installation has to approve: of its scripts with what they are given, and the commands of "
        "its checks if it has any; empty without."
    )
    parameters = serializers.SerializerMethodField(
        help_text="What its publisher leaves to whoever installs it."
    )
    secrets = serializers.SerializerMethodField(
        help_text="Names of the secrets that its scripts are given; an installation says which of one's own they are."
    )

    class Meta:
        model = Release
        fields = [
            "id",
            "listing",
            "version",
            "is_prerelease",
            "licence",
            "changelog",
            "sha256",
            "permissions",
            "forked_from",
            "script_sha256",
            "parameters",
            "secrets",
            "published_by",
            "approved_by",
            "published_at",
            "yanked_at",
            "yank_reason",
        ]
        read_only_fields = ["sha256", "yanked_at", "yank_reason"]

    def to_representation(self, release):
        release.bundled = installing.bundle_in(release)
        return super().to_representation(release)

    def get_permissions(self, release) -> list[dict]:
        """Without values where it has not been bought."""
        told = manifest if self._is_readable(release) else manifest_hidden
        permissions = [permission._asdict() for permission in told(release.bundled)]
        return PermissionSerializer(permissions, many=True).data

    def get_script_sha256(self, release) -> str:
        return release.bundled.root_sha256 if self._is_readable(release) else ""

    @extend_schema_field(AskedParameterSerializer(many=True))
    def get_parameters(self, release) -> list[dict]:
        """None where it has not been bought."""
        asked = release.bundled.parameters_asked if self._is_readable(release) else {}
        told = [{**each.model_dump(), "name": name} for name, each in asked.items()]
        return AskedParameterSerializer(told, many=True).data

    def get_secrets(self, release) -> list[str]:
        """None where it has not been bought."""
        return release.bundled.secret_names if self._is_readable(release) else []

    def _is_readable(self, release) -> bool:
        known = self.context.setdefault("readable", {})
        if release.listing_id not in known:
            known[release.listing_id] = may_read(listing=release.listing, user=self.context["request"].user)
        return known[release.listing_id]


@extend_schema_field({"type": "array", "items": {"type": "object", "additionalProperties": True}})
class PersonaTestsField(serializers.JSONField):
    """The persona's own tests: name, template, expect {path: value}, software, suits."""


class ListingSerializer(serializers.ModelSerializer):
    publisher = ScopedRelatedField(queryset=Publisher.objects.all(), role=Role.ADMIN)
    persona = ScopedRelatedField(
        queryset=Persona.objects.all(), help_text="PersonaID; its department publishes it."
    )
    tests = PersonaTestsField(required=False)
    deprecated = serializers.SerializerMethodField(
        help_text="Why not to begin with it; null where nothing is said."
    )
    successor = serializers.PrimaryKeyRelatedField(read_only=True)
    taken_down = serializers.SerializerMethodField(help_text="Why nobody runs it; null where it may be run.")
    newest_version = serializers.CharField(source="newest.version", read_only=True, default=None)
    installed_in = serializers.IntegerField(read_only=True, default=0, help_text="Number of departments.")

    class Meta:
        model = Listing
        fields = [
            "id",
            "publisher",
            "slug",
            "name",
            "summary",
            "readme",
            "category",
            "icon",
            "tests",
            "visibility",
            "persona",
            "newest_version",
            "deprecated",
            "successor",
            "taken_down",
            "installed_in",
            "told_since",
            "created_at",
            "updated_at",
        ]
        read_only_fields = ["told_since"]
        validators: list = []
        extra_kwargs = {"slug": {"required": False}, "name": {"required": False}}

    def create(self, validated):
        return publishing.listing_create(by=self.context["request"].user, **validated)

    def update(self, listing, validated):
        for fixed in ("publisher", "persona"):
            if fixed in validated and validated.pop(fixed) != getattr(listing, fixed):
                raise serializers.ValidationError({fixed: "It stays what it is; make another listing."})
        return publishing.listing_update(listing=listing, by=self.context["request"].user, **validated)

    def get_deprecated(self, listing) -> str | None:
        return listing.deprecation_reason if listing.deprecated_at else None

    def get_taken_down(self, listing) -> str | None:
        return listing.takedown.reason if listing.takedown else None

    def to_representation(self, listing):
        """The persona's id and its tests are for those who see the persona, the successor's for those who see that: a
        listing can be seen by more people."""
        told, seen = super().to_representation(listing), self._seen(listing)
        if listing.persona_id not in seen:
            told |= {"persona": None, "tests": []}
        if listing.successor_id not in seen:
            told["successor"] = None
        return told

    def _seen(self, listing) -> set:
        """Ids of personas and successors: of the whole page, asked once."""
        if self.parent is None:
            return self._seen_of([listing])
        if "seen" not in self.context:
            self.context["seen"] = self._seen_of(self.parent.instance)
        return self.context["seen"]

    def _seen_of(self, listings) -> set:
        user = self.context["request"].user
        asked = {
            Persona: {each.persona_id for each in listings},
            Listing: {each.successor_id for each in listings},
        }
        rows = (model.objects.visible_to(user).filter(pk__in=ids - {None}) for model, ids in asked.items())
        return {pk for found in rows for pk in found.values_list("pk", flat=True)}


class SubmissionDetailSerializer(SubmissionSerializer):
    """With all that its page shows: who approves it here reads it here."""

    licence = serializers.CharField(source="told.bundle.licence", read_only=True)
    changelog = ReleaseChangeSerializer(many=True, source="told.bundle.changelog", read_only=True)
    bundle = serializers.SerializerMethodField(
        help_text="What is approved: the content of the bytes of `sha256`."
    )
    permissions = PermissionSerializer(many=True, source="told.permissions", read_only=True)
    compared_with = serializers.CharField(
        source="told.before.version",
        read_only=True,
        default=None,
        allow_null=True,
        help_text="The version that `delta` begins at; null for a first release.",
    )
    delta = DeltaSerializer(source="told.delta", read_only=True, allow_null=True)
    findings = FindingSerializer(many=True, source="told.findings", read_only=True)

    class Meta(SubmissionSerializer.Meta):
        fields = [
            *SubmissionSerializer.Meta.fields,
            "licence",
            "changelog",
            "bundle",
            "permissions",
            "compared_with",
            "delta",
            "findings",
        ]
        read_only_fields = fields

    def to_representation(self, submission):
        submission.told = submissions.submission_told(submission)
        return super().to_representation(submission)

    def get_bundle(self, submission) -> dict:
        return submission.told.bundle.model_dump(mode="json", exclude_none=True)


class YankSerializer(serializers.Serializer):
    reason = serializers.CharField(max_length=200)


class UninstalledSerializer(serializers.Serializer):
    persona = serializers.UUIDField(source="pk", help_text="Archived: the runs that are behind it keep it.")
    archived_at = serializers.DateTimeField()


def secrets_field() -> serializers.DictField:
    return serializers.DictField(
        child=serializers.CharField(max_length=63, allow_null=True),
        required=False,
        help_text="Name of a secret in the release → slug of the department's own that its scripts are given. What is "
        "left out stays as it was said before, else a run waits for it; null takes it back.",
    )


def parameters_field() -> serializers.DictField:
    return serializers.DictField(
        child=serializers.JSONField(),
        required=False,
        help_text="script.VARIABLE → value, of the kind that the release's `parameters` tell; all that it asks for. "
        "What is left out at an update stays as it was said before.",
    )


class InstallationUpdateSerializer(serializers.Serializer):
    release = ScopedRelatedField(queryset=Release.objects.all())
    choices = serializers.DictField(
        child=serializers.ChoiceField(choices=["ours", "theirs"]),
        required=False,
        help_text="Of a fork: whose value holds where both changed it, by path.",
    )
    approved_script_sha256 = serializers.CharField(
        required=False, allow_blank=True, max_length=64, help_text="Needed when what runs as root is another."
    )
    secrets = secrets_field()
    parameters = parameters_field()


class PreviewAskedSerializer(serializers.Serializer):
    release = ScopedRelatedField(
        queryset=Release.objects.all(),
        required=False,
        help_text="Of the same listing; left out: what it is offered.",
    )


class BeforeAfterSerializer(serializers.Serializer):
    before = serializers.CharField()
    after = serializers.CharField()


class VersionChangesSerializer(serializers.Serializer):
    version = serializers.CharField()
    changes = ReleaseChangeSerializer(many=True, source="changelog")


class SettingChangeSerializer(serializers.Serializer):
    path = serializers.CharField()
    before = serializers.JSONField(allow_null=True, help_text="null where it is not said.")
    after = serializers.JSONField(allow_null=True, help_text="null where it is not said.")


class ScriptChangeSerializer(serializers.Serializer):
    slug = serializers.CharField()
    name = serializers.CharField()
    diff = serializers.CharField(help_text="Unified; of the whole text where the script comes or goes.")


class UpdatePreviewSerializer(serializers.Serializer):
    before = serializers.CharField(source="before.version", help_text="The version that is installed.")
    version = serializers.CharField(source="after.version")
    release = serializers.UUIDField(source="after.pk")
    changelog = VersionChangesSerializer(
        many=True, source="releases", help_text="Of all releases on the way, the newest first."
    )
    licence = BeforeAfterSerializer(allow_null=True, help_text="null where it stays.")
    permissions = DeltaSerializer(source="delta", help_text="Without values where it has not been bought.")
    settings = SettingChangeSerializer(
        many=True, allow_null=True, help_text="null where it has not been bought."
    )
    scripts = ScriptChangeSerializer(
        many=True, allow_null=True, help_text="Scripts with another text; null where it has not been bought."
    )
    script_sha256 = serializers.CharField(help_text="What the update has to approve; empty without.")


class SidesSerializer(serializers.Serializer):
    path = serializers.CharField()
    base = serializers.JSONField(allow_null=True, help_text="As the release that is installed has it.")
    ours = serializers.JSONField(allow_null=True)
    theirs = serializers.JSONField(allow_null=True)


class MergePreviewSerializer(serializers.Serializer):
    taken = serializers.ListField(child=serializers.CharField(), help_text="Paths taken over from upstream.")
    kept = serializers.ListField(
        child=serializers.CharField(), help_text="Paths that the department changed."
    )
    taken_values = SidesSerializer(many=True)
    kept_values = SidesSerializer(many=True)
    conflicts = SidesSerializer(many=True, help_text="Changed by both.")


class InstallationSerializer(serializers.ModelSerializer):
    release = ScopedRelatedField(queryset=Release.objects.all())
    department = DepartmentField(required=False)
    version = serializers.CharField(source="release.version", read_only=True)
    name = serializers.CharField(
        write_only=True, required=False, max_length=80, help_text="Of the persona that is made."
    )
    approved_script_sha256 = serializers.CharField(
        required=False, allow_blank=True, max_length=64, help_text="Of what you read (`script_sha256`)."
    )
    secrets = secrets_field()
    parameters = parameters_field()

    is_fork = serializers.BooleanField(
        required=False, help_text="Go one's own way with it; where the licence allows it, else 403."
    )

    class Meta:
        model = Installation
        fields = [
            "id",
            "listing",
            "release",
            "version",
            "department",
            "persona",
            "name",
            "approved_script_sha256",
            "secrets",
            "parameters",
            "is_fork",
            "installed_at",
        ]
        read_only_fields = ["listing", "persona"]
        validators: list = []

    def create(self, validated):
        user = self.context["request"].user
        department = department_for(user, validated)
        if department is None:
            raise serializers.ValidationError({"department": "Name the department that it is installed in."})
        make = forks.fork_create if validated.pop("is_fork", False) else installing.installation_create
        return make(by=user, department=department, **validated)
