"""What an analysis of a text conversation holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud import contact_center_insights_v1 as insights
from google.protobuf.json_format import MessageToDict
from insights_service import Service

DOCUMENTED_PAIRS = {
    (-1, 1), (-0.5, 0.5), (-0.25, 0.75), (0, 0), (0, 0.75), (0.25, 0.75), (0.5, 0.5), (1, 1),
}  # fmt: skip
TALK = (
    ("AGENT", "Hello, this is Sarah from Apex Collections. Can you confirm your date of birth?"),
    ("CUSTOMER", "Mr Chen here. I hate this, it's terrible, I lost my job on Monday."),
    ("AGENT", "I'm sorry to hear that, Mr Chen."),
    ("CUSTOMER", "It is the fee of the bank."),
    ("AGENT", "I've set up a plan, that's all sorted. Is there anything else I can help with?"),
    ("CUSTOMER", "That's wonderful, thank you so much, you've been great!"),
)
ONLY_SENTIMENT = insights.AnnotatorSelector(run_sentiment_annotator=True)
SUMMARY = insights.AnnotatorSelector(
    run_summarization_annotator=True,
    summarization_config={"summarization_model": "BASELINE_MODEL_V2_0"},
)


def results(analysis: insights.Analysis) -> Any:
    return analysis.analysis_result.call_analysis_metadata


@pytest.mark.fact("observed", "two real analyses made without a selector")
def test_without_a_selector_all_but_the_summary_runs(service: Service) -> None:
    analysis = service.analyse(service.talk(*TALK).name)
    selector = MessageToDict(insights.AnnotatorSelector.pb(analysis.annotator_selector))
    assert selector == {
        "runInterruptionAnnotator": True,
        "runSilenceAnnotator": True,
        "runPhraseMatcherAnnotator": True,
        "runSentimentAnnotator": True,
        "runEntityAnnotator": True,
        "runIntentAnnotator": True,
        "runIssueModelAnnotator": True,
        "runQaAnnotator": True,
        "qaConfig": {"scorecardList": {}},
    }


@pytest.mark.fact("documented", "summarization page: with a selector only what is true runs")
def test_with_a_selector_only_what_it_names_runs(service: Service) -> None:
    analysis = service.analyse(service.talk(*TALK).name, ONLY_SENTIMENT)
    kinds = {annotation._pb.WhichOneof("data") for annotation in results(analysis).annotations}
    assert kinds == {"sentiment_data"}
    assert analysis.annotator_selector == ONLY_SENTIMENT


@pytest.mark.fact("observed", "real replies: one per END_USER segment, neutral included")
def test_each_customer_turn_and_no_other_has_one_sentiment(service: Service) -> None:
    name = service.talk(*TALK).name
    analysis = service.analyse(name, ONLY_SENTIMENT)
    found = {
        annotation.annotation_start_boundary.transcript_index: (
            annotation.channel_tag,
            annotation.annotation_start_boundary.word_index,
            annotation.annotation_end_boundary.transcript_index,
            annotation.annotation_end_boundary.word_index,
        )
        for annotation in results(analysis).annotations
    }
    assert found == {index: (1, 0, index, len(TALK[index][1].split()) - 1) for index in (1, 3, 5)}
    assert len(results(analysis).annotations) == 3


@pytest.mark.fact("documented", "sentiment analysis page: pairs of score and magnitude")
def test_sentiment_uses_the_documented_pairs(service: Service) -> None:
    analysis = service.analyse(service.talk(*TALK).name, ONLY_SENTIMENT)
    by_turn = {
        annotation.annotation_start_boundary.transcript_index: annotation.sentiment_data
        for annotation in results(analysis).annotations
    }
    assert by_turn.keys() == {1, 3, 5}
    assert {(data.score, data.magnitude) for data in by_turn.values()} <= DOCUMENTED_PAIRS


@pytest.mark.fact("observed", "real reply: segments carry the sentiment, agents' have none")
def test_the_transcript_carries_the_sentiment_of_customer_turns(service: Service) -> None:
    name = service.talk(*TALK).name
    analysis = service.analyse(name, ONLY_SENTIMENT)
    segments = service.client.get_conversation(name=name).transcript.transcript_segments
    annotated = {
        annotation.annotation_start_boundary.transcript_index: annotation.sentiment_data
        for annotation in results(analysis).annotations
    }
    on_segments = {i: s.sentiment for i, s in enumerate(segments) if "sentiment" in s}
    assert on_segments == annotated


@pytest.mark.fact("observed", "one entry of channel 1; the formula is not known")
def test_the_conversation_has_one_sentiment_for_the_customer(service: Service) -> None:
    analysis = service.analyse(service.talk(*TALK).name, ONLY_SENTIMENT)
    assert [sentiment.channel_tag for sentiment in results(analysis).sentiments] == [1]


@pytest.mark.fact("documented", "smart highlights page: the three names; sentence level observed")
def test_smart_highlights_mark_sentences_of_the_agent(service: Service) -> None:
    selector = insights.AnnotatorSelector(run_intent_annotator=True)
    analysis = service.analyse(service.talk(*TALK).name, selector)
    found = {
        (
            results(analysis).intents[a.intent_match_data.intent_unique_id].display_name,
            a.annotation_start_boundary.transcript_index,
            a.annotation_start_boundary.word_index,
            a.annotation_end_boundary.word_index,
        )
        for a in results(analysis).annotations
    }
    assert found == {
        ("AUTHENTICATION_INFO", 0, 7, 13),
        ("CONFIRM_ISSUE_RESOLVED", 4, 0, 7),
        ("CHECK_ISSUE_RESOLVED", 4, 8, 15),
    }


@pytest.mark.fact("observed", "the id of AUTHENTICATION_INFO in a real reply")
def test_the_authentication_highlight_has_its_known_id(service: Service) -> None:
    selector = insights.AnnotatorSelector(run_intent_annotator=True)
    analysis = service.analyse(service.talk(TALK[0]).name, selector)
    assert dict(results(analysis).intents) == {
        "d7d55546-53b8-41f8-af02-f3afb53084c3": insights.Intent(
            id="d7d55546-53b8-41f8-af02-f3afb53084c3", display_name="AUTHENTICATION_INFO"
        )
    }


@pytest.mark.fact("observed", "keys 0, 1, …; PROPER and COMMON mentions of one person")
def test_a_titled_name_is_one_person_mentioned_twice(service: Service) -> None:
    selector = insights.AnnotatorSelector(run_entity_annotator=True)
    analysis = service.analyse(service.talk(("AGENT", "Is that Mr Chen?")).name, selector)
    entities = results(analysis).entities
    assert {key: (e.display_name, e.type_.name) for key, e in entities.items()} == {
        "0": ("Chen", "PERSON")
    }
    mentions = sorted(
        (
            a.entity_mention_data.type_.name,
            a.annotation_start_boundary.word_index,
            a.annotation_end_boundary.word_index,
        )
        for a in results(analysis).annotations
    )
    assert mentions == [("COMMON", 2, 2), ("PROPER", 3, 3)]


@pytest.mark.fact("observed", "real replies: people and things, no date, number, price or address")
def test_entities_have_types_and_salience(service: Service) -> None:
    text = "My name is Sarah Lee, I owe $450.50 since 3 March 2024, call 0491 570 156 in Sydney"
    selector = insights.AnnotatorSelector(run_entity_annotator=True)
    analysis = service.analyse(service.talk(("CUSTOMER", text)).name, selector)
    entities = results(analysis).entities.values()
    assert {(e.display_name, e.type_.name) for e in entities} == {
        ("Sarah Lee", "PERSON"),
        ("Sydney", "LOCATION"),
    }
    assert [0 <= entity.salience <= 1 for entity in entities] == [True, True]


@pytest.mark.fact("observed", "real replies of text hold neither")
def test_text_has_no_silence_and_no_interruption(service: Service) -> None:
    analysis = service.analyse(service.talk(*TALK).name)
    kinds = {annotation._pb.WhichOneof("data") for annotation in results(analysis).annotations}
    assert kinds.isdisjoint({"silence_data", "interruption_data", "hold_data"})
    assert "silence" not in results(analysis)


@pytest.mark.fact("documented", "summarization page; section names observed")
def test_a_summary_is_written_only_when_it_is_asked_for(service: Service) -> None:
    name = service.talk(*TALK).name
    service.analyse(name)
    assert "latest_summary" not in service.client.get_conversation(name=name)
    service.analyse(name, SUMMARY)
    summary = service.client.get_conversation(name=name).latest_summary
    assert set(summary.text_sections) == {"situation", "action", "resolution"}
    assert summary.text_sections["resolution"] == "Y"


@pytest.mark.fact("documented", "Conversation.latest_analysis; update time observed")
def test_the_newest_analysis_is_the_latest_and_moves_the_update_time(service: Service) -> None:
    name = service.talk(*TALK).name
    before = service.client.get_conversation(name=name)
    service.analyse(name)
    second = service.analyse(name, ONLY_SENTIMENT)
    after = service.client.get_conversation(name=name)
    assert after.latest_analysis == second
    assert after.update_time > before.update_time


@pytest.mark.fact("documented", "many analyses may exist per conversation")
def test_every_analysis_is_kept_until_it_is_deleted(service: Service) -> None:
    name = service.talk(*TALK).name
    analyses = [service.analyse(name) for _ in range(3)]
    listed = list(service.client.list_analyses(parent=name))
    assert sorted(a.name for a in listed) == sorted(a.name for a in analyses)
    assert service.client.get_analysis(name=analyses[0].name) == analyses[0]
    service.client.delete_analysis(name=analyses[2].name)
    with service.refused(exceptions.NotFound):
        service.client.get_analysis(name=analyses[2].name)
    latest = service.client.get_conversation(name=name).latest_analysis
    assert latest == analyses[1]


@pytest.mark.fact("documented", "CreateAnalysisOperationMetadata")
def test_the_operation_of_an_analysis_tells_conversation_and_selector(service: Service) -> None:
    name = service.talk(*TALK).name
    operation = service.client.create_analysis(
        parent=name, analysis=insights.Analysis(annotator_selector=ONLY_SENTIMENT)
    )
    analysis = operation.result(timeout=300)
    metadata = operation.metadata
    assert (metadata.conversation, metadata.annotator_selector) == (name, ONLY_SENTIMENT)
    assert metadata.create_time <= analysis.create_time <= metadata.end_time


@pytest.mark.fact("observed", "the paths of two real replies, and documented matchers' fields")
def test_a_full_conversation_has_the_known_json_paths(service: Service) -> None:
    service.matcher("lost my job")
    created = service.talk(
        *TALK, agent_id="a-1", language_code="en-AU", labels={"k": "v"},
        start_time="2025-12-28T03:20:02Z",
    )  # fmt: skip
    service.analyse(created.name)
    full = service.client.get_conversation(name=created.name)
    known = Path(__file__).with_name("full_conversation_paths.txt").read_text().split()
    assert sorted(json_paths(MessageToDict(insights.Conversation.pb(full)))) == sorted(known)


MAPS = {"labels", "entities", "intents", "phraseMatchers"}


def json_paths(value: Any, path: str = "") -> set[str]:
    """Return the paths of all leaves; list items are [], keys of maps {}."""
    if isinstance(value, list):
        return set().union(*(json_paths(item, f"{path}[]") for item in value))
    if not isinstance(value, dict) or not value:
        return {path}
    is_map = path.rpartition(".")[2] in MAPS
    return set().union(
        *(json_paths(v, f"{path}.{'{}' if is_map else k}".lstrip(".")) for k, v in value.items())
    )
