"""What is left of a reply in a record."""

from __future__ import annotations

from google.cloud import contact_center_insights_v1 as insights
from recording import scrubbed


def test_a_record_has_fields_and_enums_but_no_word_id_or_time() -> None:
    conversation = insights.Conversation(
        name="projects/p/locations/us-central1/conversations/c-1",
        agent_id="A-17",
        labels={"team": "north"},
        medium="CHAT",
        turn_count=3,
        start_time="2026-01-05T10:00:00Z",
        duration="90s",
        data_source={"gcs_source": {"transcript_uri": "gs://bucket/a.json"}},
    )
    assert scrubbed(insights.Conversation.pb(conversation)) == {
        "@": "Conversation",
        "name": "projects/*/locations/*/conversations/*",
        "agent_id": "text",
        "labels": ["text"],
        "medium": "CHAT",
        "turn_count": 3,
        "start_time": "time",
        "duration": "duration",
        "data_source": {
            "@": "ConversationDataSource",
            "gcs_source": {"@": "GcsSource", "transcript_uri": "text"},
        },
    }
