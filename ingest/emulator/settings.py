"""The settings and the encryption key of a location: one of each, always there."""

from __future__ import annotations

import re

from ingest.emulator import protos
from ingest.emulator.context import Context
from ingest.emulator.database import Database
from ingest.emulator.errors import failed_precondition, invalid
from ingest.emulator.notifications import TRIGGERS
from ingest.emulator.operations import Kind, OperationEngine, Outcome, Running
from ingest.emulator.request_fields import UpdateRule, check_selector, check_ttl, copy_field
from ingest.emulator.resources import ResourceName, Resources

_DEFAULT_LANGUAGE = "en-US"
"""Settings.language_code of a fresh location (documented default)."""
_UPDATE_RULE = UpdateRule(
    protos.Settings,
    updatable=(
        "language_code", "conversation_ttl", "pubsub_notification_settings", "analysis_config",
        "redaction_config", "speech_config",
    ),
)  # fmt: skip
_SUFFIX = "/settings"
_INITIALIZE = "InitializeEncryptionSpec"
_Spec = protos.message_class("EncryptionSpec")
_SpecMetadata = protos.message_class("InitializeEncryptionSpecMetadata")
_KMS_KEY = re.compile(r"projects/[^/]+/locations/([^/]+)/keyRings/[^/]+/cryptoKeys/[^/]+")
_TOPIC = re.compile(r"projects/[^/]+/topics/[^/]+")
_TEMPLATES = {
    f"{kind}_template": re.compile(rf"projects/[^/]+/(?:locations/[^/]+/)?{kind}Templates/[^/]+")
    for kind in ("deidentify", "inspect")
}
"""The documents show one with a location and one without; both take either (assumed)."""


class SettingsStore:
    """Reads and writes the settings of locations; callers own the transactions."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def find(self, parent: str) -> protos.Pb:
        """Return the location's settings; a fresh location has some (inferred), never NOT_FOUND."""
        row = self._db.execute(
            "select settings from parents where parent_id = ?", (self._db.parent_id(parent),)
        ).fetchone()
        if row[0] is not None:
            return protos.Settings.FromString(row[0])
        return protos.Settings(name=f"{parent}/settings", language_code=_DEFAULT_LANGUAGE)

    def update(self, parent: str, settings: protos.Pb) -> None:
        """Store the location's settings."""
        self._db.execute(
            "update parents set settings = ? where parent_id = ?",
            (settings.SerializeToString(), self._db.parent_id(parent)),
        )


class SettingsMethods:
    """The methods, by their RPC names in snake case."""

    def __init__(self, context: Context, operations: OperationEngine) -> None:
        self._context = context
        self._settings = SettingsStore(context.database)
        self._specs = Resources(context, _Spec, "encryptionSpec")
        self._operations = operations
        request = protos.message_class(f"{_INITIALIZE}Request")
        operations.register(Kind(_INITIALIZE, request, _SpecMetadata, at_once=self._initialize))

    async def get_encryption_spec(self, request: protos.Pb) -> protos.Pb:
        """Return the location's key; without one, resources have the default encryption."""
        name = self._encryption_name(request.name)
        return self._specs.find(name) or _Spec(name=str(name))

    async def initialize_encryption_spec(self, request: protos.Pb) -> protos.Pb:
        """Set the location's key once, in an operation; a second time is refused (assumed)."""
        spec = request.encryption_spec
        name = self._encryption_name(spec.name)
        if spec.kms_key:
            found = _KMS_KEY.fullmatch(spec.kms_key)
            if not found:
                raise invalid(
                    f"Invalid encryption_spec.kms_key '{spec.kms_key}': it is no name of a key."
                )
            if found[1] != name.location.rpartition("/")[2]:
                raise invalid("Invalid encryption_spec.kms_key: it must be of the same location.")
        if self._specs.find(name) is not None:
            raise failed_precondition(f"Resource '{name}' is initialized already.")
        metadata = _SpecMetadata(request=request)
        return await self._operations.start(_INITIALIZE, name.location, request, metadata)

    def _initialize(self, running: Running) -> Outcome:
        name = self._encryption_name(running.request.encryption_spec.name)
        spec = _Spec(kms_key=running.request.encryption_spec.kms_key)
        if self._specs.find(name) is None:
            self._specs.insert(name, spec)
        return Outcome(protos.message_class("InitializeEncryptionSpecResponse")())

    def _encryption_name(self, name: str) -> ResourceName:
        location, _, last = name.rpartition("/")
        if last != "encryptionSpec":
            raise invalid(f"Invalid name '{name}': use projects/…/locations/…/encryptionSpec.")
        return ResourceName(self._context.names.location(location, "name"), "", last, "")

    async def get_settings(self, request: protos.Pb) -> protos.Pb:
        """Return the location's settings."""
        return self._settings.find(self._location(request.name))

    async def update_settings(self, request: protos.Pb) -> protos.Pb:
        """Change what the mask names; the mask is required (documented).

        A new TTL leaves existing conversations alone (documented).
        """
        parent = self._location(request.settings.name)
        mask = request.update_mask.paths
        if not mask:
            raise invalid("update_mask is required.")
        settings = self._settings.find(parent)
        for path in _UPDATE_RULE.paths(settings, request.settings, mask):
            copy_field(settings, request.settings, path)
        settings.language_code = settings.language_code or _DEFAULT_LANGUAGE
        _check(settings)
        check_selector(self._context.names, settings.analysis_config.annotator_selector)
        if settings.HasField("conversation_ttl"):
            check_ttl(settings.conversation_ttl, self._context.clock.now(), "conversation_ttl")
        now = protos.timestamp(self._context.clock.now())
        if not settings.HasField("create_time"):
            settings.create_time.CopyFrom(now)
        settings.update_time.CopyFrom(now)
        with self._context.database.transaction():
            self._settings.update(parent, settings)
        return settings

    def _location(self, name: str) -> str:
        if not name.endswith(_SUFFIX):
            raise invalid(f"Invalid name '{name}': use projects/…/locations/…/settings.")
        return self._context.names.location(name.removesuffix(_SUFFIX), "name")


def _check(settings: protos.Pb) -> None:
    unknown = sorted(set(settings.pubsub_notification_settings) - TRIGGERS)
    if unknown:
        raise invalid(f"Invalid pubsub_notification_settings key '{unknown[0]}': it is no trigger.")
    for topic in settings.pubsub_notification_settings.values():
        if not _TOPIC.fullmatch(topic):
            raise invalid(f"Invalid topic '{topic}': use projects/{{project}}/topics/{{topic}}.")
    for field, pattern in _TEMPLATES.items():
        template = getattr(settings.redaction_config, field)
        if template and not pattern.fullmatch(template):
            raise invalid(
                f"Invalid redaction_config.{field} '{template}': it is no name of a template."
            )
    config = settings.analysis_config
    for name in (
        "runtime_integration_analysis_percentage",
        "upload_conversation_analysis_percentage",
    ):
        if not 0 <= getattr(config, name) <= 100:
            raise invalid(f"Invalid analysis_config.{name}: use 0 to 100.")
