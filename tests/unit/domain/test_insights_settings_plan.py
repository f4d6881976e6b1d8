from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.domain.insights_settings import (
    FIELDS,
    InsightsSettings,
    SettingChange,
    Trigger,
    changes,
    parse_settings,
)
from ingest.errors import InputError

REPOSITORY = Path(__file__).parents[3]
TEMPLATES = {
    "inspect_template": "projects/p/locations/europe-west1/inspectTemplates/coach",
    "deidentify_template": "projects/p/locations/europe-west1/deidentifyTemplates/coach",
}
whole = st.builds(
    lambda language, days, upload, redact, events: InsightsSettings.model_validate(
        {
            "language_code": language,
            "conversation_ttl_days": days,
            "analysis": {"upload_percentage": upload},
            "redaction": TEMPLATES if redact else None,
            "notifications": dict.fromkeys(events, "projects/p/topics/t"),
        }
    ),
    st.sampled_from(["en-US", "de", "pt-BR"]),
    st.none() | st.integers(1, 36500),
    st.integers(0, 100),
    st.booleans(),
    st.sets(st.sampled_from([trigger.value for trigger in Trigger])),
)


def test_every_key_becomes_the_field_of_ci() -> None:
    text = """
language_code: de-DE
conversation_ttl_days: 365
analysis: {upload_percentage: 12.5, runtime_percentage: 100}
redaction:
  inspect_template: projects/p/locations/l/inspectTemplates/i
  deidentify_template: projects/p/deidentifyTemplates/d
notifications: {create-analysis: projects/p/topics/t}
"""

    assert parse_settings(text).rest_json() == {
        "languageCode": "de-DE",
        "conversationTtl": "31536000s",
        "analysisConfig": {
            "uploadConversationAnalysisPercentage": 12.5,
            "runtimeIntegrationAnalysisPercentage": 100,
        },
        "redactionConfig": {
            "inspectTemplate": "projects/p/locations/l/inspectTemplates/i",
            "deidentifyTemplate": "projects/p/deidentifyTemplates/d",
        },
        "pubsubNotificationSettings": {"create-analysis": "projects/p/topics/t"},
    }


def test_the_file_of_the_repository_asks_for_no_analysis_by_ci() -> None:
    text = (REPOSITORY / "terraform" / "insights_settings.yaml").read_text(encoding="utf-8")

    assert parse_settings(text).rest_json() == {"languageCode": "en-US"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("language_code: [", "settings aren't YAML"),
        ("- a", "settings aren't a mapping"),
        ("langauge_code: en-US", "langauge_code: extra inputs are not permitted"),
        ("language_code: not a language", "language_code: string should match"),
        ("conversation_ttl_days: 0", "conversation_ttl_days: input should be greater than"),
        ("analysis: {upload_percentage: 101}", "analysis.upload_percentage: input should be less"),
        ("redaction: {inspect_template: x}", "redaction.deidentify_template: field required"),
        ("notifications: {new-call: projects/p/topics/t}", "notifications.new-call"),
        ("notifications: {create-analysis: t}", "notifications.create-analysis"),
    ],
)
def test_a_fault_is_named_with_its_place(text: str, said: str) -> None:
    with pytest.raises(InputError) as raised:
        parse_settings(text)

    assert said in raised.value.message
    assert raised.value.hint


def test_only_what_differs_is_changed() -> None:
    wanted = parse_settings("{language_code: de, conversation_ttl_days: 1}")
    held = {
        "name": "projects/1/locations/l/settings",
        "languageCode": "en-US",
        "conversationTtl": "86400s",
        "analysisConfig": {},
        "pubsubNotificationSettings": {"create-analysis": "projects/p/topics/t"},
        "speechConfig": {"speechRecognizer": "r"},
    }

    assert changes(wanted, held) == (
        SettingChange("language_code", "en-US", "de"),
        SettingChange(
            "pubsub_notification_settings", {"create-analysis": "projects/p/topics/t"}, None
        ),
    )


@given(whole)
def test_settings_read_back_are_no_change(wanted: InsightsSettings) -> None:
    assert changes(wanted, wanted.rest_json()) == ()


@given(whole, whole)
def test_setting_the_named_fields_makes_ci_equal(
    wanted: InsightsSettings, before: InsightsSettings
) -> None:
    held = before.rest_json()

    for change in changes(wanted, held):
        held.pop(FIELDS[change.field], None)
        if change.wanted is not None:
            held[FIELDS[change.field]] = change.wanted

    assert held == wanted.rest_json()


@given(whole)
def test_json_states_the_same_as_yaml(wanted: InsightsSettings) -> None:
    assert parse_settings(json.dumps(wanted.model_dump(mode="json"))) == wanted
