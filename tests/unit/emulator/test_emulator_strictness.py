"""What Google would refuse or take literally is not read kindly here either."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from emulator_cases import BUCKET, TALK, create
from google.api_core import exceptions
from google.cloud import contact_center_insights_v1 as insights

from ingest.domain.matchers import Role
from ingest.emulator.analysis.entities import find_entities
from ingest.emulator.analysis.turns import Turn
from ingest.emulator.pytest_plugin import RunningEmulator
from ingest.emulator.testing import ObjectServer


def found(emulator: RunningEmulator, text: str) -> list[str]:
    listed = emulator.client.list_conversations(
        {"parent": emulator.parent, "filter": text, "order_by": "create_time"}
    )
    return [conversation.name.rpartition("/")[2] for conversation in listed]


@pytest.mark.parametrize(
    "moment",
    ["2025-12-28T03:20:02Z", "2025-12-28t03:20:02z", "2025-12-28T14:20:02.000000000+11:00"],
)
def test_a_filter_takes_rfc_3339_times(
    ci_emulator: RunningEmulator, ci_objects: ObjectServer, moment: str
) -> None:
    create(ci_emulator, ci_objects, "first-one", start_time="2025-12-28T03:20:02Z")
    assert found(ci_emulator, f'start_time="{moment}"') == ["first-one"]


@pytest.mark.parametrize(
    "moment",
    ["2025-W52-7T03:20:02Z", "20251228T032002Z", "2025-12-28T03:20Z", "2025-12-28T03:20:02",
     "2025-12-28 03:20:02Z", "2025-12-28T03:20:02,5Z", "2025-13-28T03:20:02Z",
     "٢025-12-28T03:20:02Z"],
)  # fmt: skip
def test_a_filter_takes_no_other_times(ci_emulator: RunningEmulator, moment: str) -> None:
    with pytest.raises(exceptions.InvalidArgument, match="takes a time like"):
        found(ci_emulator, f'start_time="{moment}"')


@pytest.mark.parametrize("text", ['medium="CHAT"medium="CHAT"', 'medium="CHAT"AND medium="CHAT"'])
def test_terms_of_a_filter_do_not_touch(ci_emulator: RunningEmulator, text: str) -> None:
    with pytest.raises(exceptions.InvalidArgument, match="position 14: terms must not touch"):
        found(ci_emulator, text)


@pytest.mark.parametrize("field", ["agent_team", "quality_metadata.agent_info.teams"])
def test_a_star_means_that_there_is_a_team(
    ci_emulator: RunningEmulator, ci_objects: ObjectServer, field: str
) -> None:
    agents = {"agent_info": [{"agent_id": "a", "teams": ["red"]}]}
    create(ci_emulator, ci_objects, "with-team", quality_metadata=agents)
    create(ci_emulator, ci_objects, "without-team", agent_id="a")
    assert found(ci_emulator, f'{field}:"*"') == ["with-team"]
    assert found(ci_emulator, f'-{field}:"*"') == ["without-team"]


def test_a_ttl_in_the_mask_that_is_not_given_ends_the_expiry(
    ci_emulator: RunningEmulator, ci_objects: ObjectServer
) -> None:
    name = create(ci_emulator, ci_objects, "first-one", ttl="60s").name
    ci_emulator.client.update_conversation(
        conversation=insights.Conversation(name=name), update_mask={"paths": ["ttl"]}
    )
    assert "expire_time" not in ci_emulator.client.get_conversation(name=name)


def test_a_folder_without_a_slash_holds_nothing_of_its_neighbour(
    ci_emulator: RunningEmulator, ci_objects: ObjectServer
) -> None:
    for name in ("calls/a.json", "calls-old/b.json"):
        ci_objects.put_turns(BUCKET, name, TALK)
    ci_emulator.client.ingest_conversations(
        insights.IngestConversationsRequest(
            parent=ci_emulator.parent,
            gcs_source={"bucket_uri": f"gs://{BUCKET}/calls"},
            transcript_object_config={"medium": "CHAT"},
        )
    ).result(timeout=10)
    listed = ci_emulator.client.list_conversations(parent=ci_emulator.parent)
    assert [each.data_source.gcs_source.transcript_uri for each in listed] == [
        f"gs://{BUCKET}/calls/a.json"
    ]


def test_an_emptied_language_is_the_default_again(ci_emulator: RunningEmulator) -> None:
    name = f"{ci_emulator.parent}/settings"
    for language, kept in (("en-AU", "en-AU"), ("", "en-US")):
        settings = ci_emulator.client.update_settings(
            settings={"name": name, "language_code": language},
            update_mask={"paths": ["language_code"]},
        )
        assert settings.language_code == kept


@pytest.mark.parametrize(
    "settings",
    [
        {"pubsub_notification_settings": {"create-analysis": "topic"}},
        {"redaction_config": {"inspect_template": "projects/p/deidentifyTemplates/t"}},
        {"redaction_config": {"deidentify_template": "template"}},
        {"analysis_config": {"annotator_selector": {"phrase_matchers": ["complaints"]}}},
    ],
)
def test_settings_name_resources_as_they_are_named(
    ci_emulator: RunningEmulator, settings: dict[str, Any]
) -> None:
    with pytest.raises(exceptions.InvalidArgument):
        ci_emulator.client.update_settings(
            settings={"name": f"{ci_emulator.parent}/settings", **settings},
            update_mask={"paths": list(settings)},
        )


@pytest.mark.parametrize(
    "selector",
    [
        {"phrase_matchers": ["complaints"]},
        {"phrase_matchers": ["projects/p/locations/us-central1/issueModels/1"]},
        {"issue_models": ["projects/p/locations/us-central1/phraseMatchers/1"]},
    ],
)
def test_a_selector_names_resources_as_they_are_named(
    ci_emulator: RunningEmulator, ci_objects: ObjectServer, selector: dict[str, Any]
) -> None:
    name = create(ci_emulator, ci_objects).name
    calls: tuple[Callable[[], object], ...] = (
        lambda: ci_emulator.client.create_analysis(
            parent=name, analysis=insights.Analysis(annotator_selector=selector)
        ),
        lambda: ci_emulator.client.bulk_analyze_conversations(
            {
                "parent": ci_emulator.parent,
                "analysis_percentage": 100,
                "annotator_selector": selector,
            }
        ),
    )
    for call in calls:
        with pytest.raises(exceptions.InvalidArgument, match=next(iter(selector))):
            call()


def test_an_export_ignores_no_key_and_no_disposition(ci_emulator: RunningEmulator) -> None:
    request = insights.ExportInsightsDataRequest(
        parent=ci_emulator.parent, big_query_destination={"dataset": "d", "table": "t"}
    )
    request.kms_key = "projects/p/locations/l/keyRings/r/cryptoKeys/k"
    with pytest.raises(exceptions.MethodNotImplemented, match="kms_key"):
        ci_emulator.client.export_insights_data(request)
    plain = insights.ExportInsightsDataRequest.pb(request)
    plain.write_disposition = 9
    with pytest.raises(exceptions.InvalidArgument, match="write_disposition"):
        ci_emulator.client.export_insights_data(request)


def test_a_turn_of_many_mentions_takes_no_longer_than_many_turns_of_few() -> None:
    def seconds(count: int, turns: int) -> float:
        text = "Mr Chen, the bank is here. " * count
        began = time.process_time()
        found_ = find_entities([Turn(index, text, Role.HUMAN_AGENT, 2) for index in range(turns)])
        took = time.process_time() - began
        assert [entity.weight for entity in found_] == [count * turns] * 2
        return took

    seconds(8, 10)
    many, few = (min(seconds(*size) for _ in range(3)) for size in ((8_000, 1), (8, 1_000)))
    assert many < 10 * few


def test_the_words_of_a_mention_are_counted_by_white_space_of_any_kind() -> None:
    turn = Turn(0, " \tone\u2003two\x1cthree ", Role.HUMAN_AGENT, 2)
    assert [turn.word_at(char) for char in range(len(turn.text))] == [
        max(len(turn.text[: char + 1].split()) - 1, 0) for char in range(len(turn.text))
    ]
