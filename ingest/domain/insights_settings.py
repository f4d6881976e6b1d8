"""Insights' settings of one location as a file: what it may say, and what differs from Insights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ingest.errors import InputError

_HINT = "see terraform/insights_settings.yaml for every key and what it means"
_SECONDS_PER_DAY = 24 * 60 * 60

FIELDS = {
    "language_code": "languageCode",
    "conversation_ttl": "conversationTtl",
    "analysis_config": "analysisConfig",
    "redaction_config": "redactionConfig",
    "pubsub_notification_settings": "pubsubNotificationSettings",
}
"""Fields of Insights' Settings that the file decides: name in a field mask to name in REST JSON."""


class Trigger(StrEnum):
    """Events that Insights tells of, under Insights' own names."""

    ALL_TRIGGERS = "all-triggers"
    CREATE_ANALYSIS = "create-analysis"
    CREATE_CONVERSATION = "create-conversation"
    EXPORT_INSIGHTS_DATA = "export-insights-data"
    INGEST_CONVERSATIONS = "ingest-conversations"
    UPDATE_CONVERSATION = "update-conversation"
    UPLOAD_CONVERSATION = "upload-conversation"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


_Percentage = Annotated[float, Field(ge=0, le=100)]
_LanguageTag = Annotated[str, Field(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$")]
_Topic = Annotated[str, Field(pattern=r"^projects/[^/]+/topics/[^/]+$")]
_Template = r"^projects/[^/]+/(locations/[^/]+/)?{kind}/[^/]+$"


class AnalysisShare(_Part):
    """Percentages of new conversations that Insights analyses by itself."""

    upload_percentage: _Percentage = 0
    runtime_percentage: _Percentage = 0


class Redaction(_Part):
    """Names of the two templates of Sensitive Data Protection."""

    inspect_template: Annotated[str, Field(pattern=_Template.format(kind="inspectTemplates"))]
    deidentify_template: Annotated[str, Field(pattern=_Template.format(kind="deidentifyTemplates"))]


class InsightsSettings(_Part):
    """What the file decides; a key left out means Insights' default."""

    language_code: _LanguageTag = "en-US"
    conversation_ttl_days: Annotated[int, Field(ge=1, le=36500)] | None = None
    analysis: AnalysisShare = AnalysisShare()
    redaction: Redaction | None = None
    notifications: dict[Trigger, _Topic] = Field(default_factory=dict)

    def rest_json(self) -> dict[str, Any]:
        """Return Insights' Settings as REST JSON, default values absent."""
        analysis = {
            "uploadConversationAnalysisPercentage": self.analysis.upload_percentage,
            "runtimeIntegrationAnalysisPercentage": self.analysis.runtime_percentage,
        }
        rest = {
            "languageCode": self.language_code,
            "conversationTtl": self._ttl(),
            "analysisConfig": {name: value for name, value in analysis.items() if value},
            "redactionConfig": self._redaction(),
            "pubsubNotificationSettings": {k.value: v for k, v in self.notifications.items()},
        }
        return {name: value for name, value in rest.items() if value}

    def _ttl(self) -> str | None:
        days = self.conversation_ttl_days
        return None if days is None else f"{days * _SECONDS_PER_DAY}s"

    def _redaction(self) -> dict[str, str] | None:
        if self.redaction is None:
            return None
        return {
            "inspectTemplate": self.redaction.inspect_template,
            "deidentifyTemplate": self.redaction.deidentify_template,
        }


@dataclass(frozen=True)
class SettingChange:
    """One field that Insights holds otherwise; None means that it isn't set."""

    field: str
    held: str | Mapping[str, Any] | None
    wanted: str | Mapping[str, Any] | None


def parse_settings(text: str) -> InsightsSettings:
    """Return the settings that the text (YAML or JSON) states; InputError names every fault."""
    try:
        stated = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"settings aren't YAML: {_one_line(str(error))}", _HINT) from error
    if not isinstance(stated, Mapping):
        raise InputError("settings aren't a mapping of keys to values", _HINT)
    try:
        return InsightsSettings.model_validate(dict(stated))
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg'].lower()}"
            for fault in error.errors()
        )
        raise InputError(f"unusable settings: {faults}", _HINT) from error


def changes(wanted: InsightsSettings, held: Mapping[str, Any]) -> tuple[SettingChange, ...]:
    """Return the fields in which Insights' settings (REST JSON) differ from those wanted.

    An empty message is the same as none, as on the wire.
    """
    target = wanted.rest_json()
    found = [
        SettingChange(field, held.get(name) or None, target.get(name))
        for field, name in FIELDS.items()
    ]
    return tuple(change for change in found if change.held != change.wanted)


def _one_line(text: str) -> str:
    return " ".join(text.split())
