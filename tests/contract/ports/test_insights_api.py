from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Awaitable
from typing import Any

import pytest
from conftest_ports import Ports

from ingest.domain.annotators import Selector, selector_of
from ingest.domain.conversation import Metadata, Transcription
from ingest.domain.insights_format import (
    CiSubmission,
    ConversationVersion,
    ci_submission,
    word_difference,
)
from ingest.domain.labels import WantedLabel
from ingest.domain.matchers import (
    MatcherDefinition,
    MatchType,
    PhraseRule,
    Role,
    RuleGroup,
    content_sha256,
)
from ingest.domain.scorecards import Answer, Question, RevisionState, Scorecard, ValueType
from ingest.domain.topics import Topic, TopicModel
from ingest.errors import RemoteError
from ingest.ports.move import CiConversation, CiMatcher, CiOperation
from tests.fakes.folders import metadata, transcription

SENTIMENT = Selector(frozenset({"run_sentiment_annotator"}))


def submission(ports: Ports, name: str = "a", *texts: str, **changes: Any) -> CiSubmission:
    """Return a submission whose transcript lies in the bucket."""
    id_ = f"{ports.prefix}-{name}"
    made = ci_submission(
        ConversationVersion(
            id_,
            dt.date(2026, 1, 5),
            Metadata.model_validate(metadata(id_, labels={"case": ports.prefix}, **changes)),
            Transcription.model_validate(transcription(id_, *texts)),
            "a" * 64,
            "b" * 64,
        )
    )
    if ports.run(ports.store.stat(made.transcript_object)) is None:
        ports.run(
            ports.store.put(
                made.transcript_object,
                made.transcript_content,
                content_type="application/json",
                content_sha256="ab" * 32,
                if_generation_match=0,
            )
        )
    return made


def created(ports: Ports, *texts: str) -> CiConversation:
    return ports.run(ports.insights.create_conversation(submission(ports, "a", *texts)))


def ended(ports: Ports, operation: CiOperation) -> CiOperation:
    for _ in range(400):
        if operation.is_done:
            return operation
        operation = ports.run(ports.insights.get_operation(operation.name))
    raise AssertionError("the operation doesn't end")


def held(ports: Ports, id_: str) -> CiConversation:
    found = ports.run(ports.insights.get_conversation(id_))
    assert found is not None
    return found


def test_a_created_conversation_is_told_as_it_was_submitted(ports: Ports) -> None:
    made = submission(ports)

    answered = ports.run(ports.insights.create_conversation(made))
    found = held(ports, made.conversation_id)

    for conversation in (answered, found):
        assert conversation.conversation_id == made.conversation_id
        assert conversation.name.endswith(f"/conversations/{made.conversation_id}")
        assert conversation.transcript_uri.endswith(f"/{made.transcript_object}")
        assert conversation.medium == "PHONE_CALL"
        assert conversation.labels == made.labels
        assert conversation.latest_analysis is None
        assert conversation.payload["labels"] == made.labels


def test_an_id_is_taken_once(ports: Ports) -> None:
    created(ports)

    with pytest.raises(RemoteError) as caught:
        created(ports, "Another talk.", "Yes.")

    assert caught.value.code == "ALREADY_EXISTS"


def test_an_unknown_conversation_is_none_and_deleting_it_is_no_error(ports: Ports) -> None:
    id_ = f"{ports.prefix}-none"

    ports.run(ports.insights.delete_conversation(id_))

    assert ports.run(ports.insights.get_conversation(id_)) is None


def test_labels_alone_are_set_and_nothing_else(ports: Ports) -> None:
    before = created(ports)

    ports.run(ports.insights.set_labels(before.conversation_id, {"only": "this"}))
    after = held(ports, before.conversation_id)

    assert after.labels == {"only": "this"}
    assert after.updated_at > before.updated_at
    kept = {k: v for k, v in after.payload.items() if k not in ("labels", "updateTime")}
    assert kept == {k: v for k, v in before.payload.items() if k not in ("labels", "updateTime")}


def test_every_analysis_is_listed_newest_first_with_what_it_was_asked_for(ports: Ports) -> None:
    id_ = created(ports).conversation_id
    for _ in range(2):
        ended(ports, ports.run(ports.insights.create_analysis(id_, SENTIMENT)))
    latest = held(ports, id_)

    newest, oldest = ports.run(ports.insights.list_analyses(id_))

    assert latest.latest_analysis is not None
    assert newest.name == latest.latest_analysis.name
    assert oldest.created_at < newest.created_at
    assert [selector_of(found.payload) for found in (newest, oldest)] == [SENTIMENT] * 2
    assert latest.payload["latestAnalysis"]["name"] == newest.payload["name"]


def test_what_insights_holds_of_a_transcript_has_the_same_words(ports: Ports) -> None:
    made = submission(ports, "a", "Hello, Robin here.", "Hi,  what is it?", "A bill.")
    ports.run(ports.insights.create_conversation(made))
    payload = held(ports, made.conversation_id).payload
    other = submission(ports, "b", "Hello, Robin here.", "Hi, what was it?", "A bill.")

    assert word_difference(made.transcript_content, payload) is None
    assert word_difference(other.transcript_content, payload) == "what is said in turn 1"


def test_an_update_replaces_labels_and_keeps_transcript_and_analysis(ports: Ports) -> None:
    first = created(ports)
    ended(ports, ports.run(ports.insights.create_analysis(first.conversation_id, SENTIMENT)))
    before = held(ports, first.conversation_id)
    changed = dataclasses.replace(
        submission(ports), labels={"only": "this"}, transcript_object="elsewhere.json"
    )

    ports.run(ports.insights.update_conversation(changed))
    after = held(ports, first.conversation_id)

    assert after.labels == {"only": "this"}
    assert after.transcript_uri == before.transcript_uri
    assert after.latest_analysis == before.latest_analysis
    assert after.updated_at > before.updated_at


def test_the_medium_is_told_and_an_update_cannot_change_it(ports: Ports) -> None:
    made = submission(ports, medium="CHAT")

    created_ = ports.run(ports.insights.create_conversation(made))
    other = dataclasses.replace(made, medium="PHONE_CALL")
    ports.run(ports.insights.update_conversation(other))

    assert (created_.medium, held(ports, made.conversation_id).medium) == ("CHAT", "CHAT")


def test_an_update_of_an_unknown_conversation_is_not_found(ports: Ports) -> None:
    with pytest.raises(RemoteError) as caught:
        ports.run(ports.insights.update_conversation(submission(ports, "none")))

    assert caught.value.code == "NOT_FOUND"


def test_a_deleted_conversation_leaves_its_id_free(ports: Ports) -> None:
    first = created(ports)
    ended(ports, ports.run(ports.insights.create_analysis(first.conversation_id, SENTIMENT)))

    ports.run(ports.insights.delete_conversation(first.conversation_id))
    gone = ports.run(ports.insights.get_conversation(first.conversation_id))
    second = created(ports, "Another talk.", "Yes.")

    assert gone is None
    assert second.latest_analysis is None
    assert second.updated_at > first.updated_at


def test_an_analysis_becomes_the_latest_with_selector_and_time(ports: Ports) -> None:
    first = created(ports)

    operation = ports.run(ports.insights.create_analysis(first.conversation_id, SENTIMENT))
    done = ended(ports, operation)
    found = held(ports, first.conversation_id)

    assert (done.error_code, done.is_done) == (None, True)
    assert found.latest_analysis is not None
    assert found.latest_analysis.selector == SENTIMENT
    assert found.latest_analysis.name.startswith(f"{found.name}/analyses/")
    assert found.updated_at >= first.updated_at
    assert found.payload["latestAnalysis"]["name"] == found.latest_analysis.name
    assert ports.run(ports.insights.running_analysis(first.conversation_id)) is None


def test_a_second_analysis_is_another_one(ports: Ports) -> None:
    id_ = created(ports).conversation_id
    names = []
    for _ in range(2):
        ended(ports, ports.run(ports.insights.create_analysis(id_, SENTIMENT)))
        latest = held(ports, id_).latest_analysis
        assert latest is not None
        names.append(latest.name)

    assert len(set(names)) == 2


def test_an_analysis_of_an_unknown_conversation_is_not_found(ports: Ports) -> None:
    with pytest.raises(RemoteError) as caught:
        ports.run(ports.insights.create_analysis(f"{ports.prefix}-none", SENTIMENT))

    assert caught.value.code == "NOT_FOUND"


def test_a_bulk_analysis_takes_what_the_filter_admits_and_has_no_analysis(ports: Ports) -> None:
    for name in ("a", "b", "c"):
        ports.run(ports.insights.create_conversation(submission(ports, name)))
    other = dataclasses.replace(
        submission(ports, "d"), labels={"batch_date": "2026-02-02", "case": ports.prefix}
    )
    ports.run(ports.insights.create_conversation(other))
    ended(ports, ports.run(ports.insights.create_analysis(f"{ports.prefix}-a", SENTIMENT)))
    filter_ = 'labels.batch_date="2026-01-05" -latest_analysis:"*"'

    done = ended(ports, ports.run(ports.insights.bulk_analyze(filter_, SENTIMENT)))
    again = ended(ports, ports.run(ports.insights.bulk_analyze(filter_, SENTIMENT)))

    assert done.error_code is None
    assert done.counts["completed_analyses_count"] >= 2
    assert again.counts["total_requested_analyses_count"] == 0
    analysed = {n: held(ports, f"{ports.prefix}-{n}").latest_analysis for n in "abcd"}
    assert {n for n, latest in analysed.items() if latest is not None} == {"a", "b", "c"}
    assert ports.run(ports.insights.running_bulk_analysis()) is None


def test_a_listing_gives_the_full_view_of_what_the_filter_admits(ports: Ports) -> None:
    for name in ("a", "b"):
        ports.run(ports.insights.create_conversation(submission(ports, name)))

    found = ports.conversations('labels.batch_date="2026-01-05"')
    none = ports.conversations('labels.batch_date="1999-01-01"')

    ours = {c.conversation_id: c for c in found if c.conversation_id.startswith(ports.prefix)}
    assert sorted(ours) == [f"{ports.prefix}-a", f"{ports.prefix}-b"]
    for id_, conversation in ours.items():
        assert conversation == held(ports, id_)
        assert conversation.payload == held(ports, id_).payload
    assert none == []


def test_a_listing_goes_on_at_its_page_token(ports: Ports) -> None:
    labels = {"batch_date": f"in-{ports.prefix}"}
    for name in "abcde":
        made = dataclasses.replace(submission(ports, name), labels=labels)
        ports.run(ports.insights.create_conversation(made))
    filter_ = f'labels.batch_date="in-{ports.prefix}"'
    in_order = [held.conversation_id for held in ports.conversations(filter_)]
    # The fake and the adapter have it; it is no part of the port.
    ports.insights.list_page_size = 2  # type: ignore[attr-defined]

    first = ports.run(ports.insights.list_conversations(filter_))
    second = ports.run(ports.insights.list_conversations(filter_, first.next_token))
    again = ports.run(ports.insights.list_conversations(filter_, first.next_token))
    last = ports.run(ports.insights.list_conversations(filter_, second.next_token))

    pages = [[held.conversation_id for held in page.items] for page in (first, second, last)]
    assert pages == [in_order[:2], in_order[2:4], in_order[4:]]
    assert sorted(in_order) == [f"{ports.prefix}-{name}" for name in "abcde"]
    assert (again, last.next_token) == (second, "")


def definition(ports: Ports, *queries: str, active: bool = True) -> MatcherDefinition:
    rules = tuple(PhraseRule(query) for query in queries)
    groups = (RuleGroup("g", MatchType.ANY_OF, rules),)
    return MatcherDefinition(ports.prefix, MatchType.ANY_OF, groups, Role.ANY_AGENT, active)


def matchers_of(ports: Ports) -> list[CiMatcher]:
    found = ports.run(ports.insights.list_matchers())
    return [m for m in found if m.applied.display_name == ports.prefix]


def test_a_matcher_comes_back_as_it_was_created(ports: Ports) -> None:
    wanted = definition(ports, "I understand", "I hear you")

    answered = ports.run(ports.insights.create_matcher(wanted, "tag:1"))

    assert matchers_of(ports) == [answered]
    assert content_sha256(answered.definition) == content_sha256(wanted)
    assert (answered.version_tag, answered.applied.is_active) == ("tag:1", True)
    assert answered.name.endswith(f"/phraseMatchers/{answered.applied.matcher_id}")


def test_a_changed_matcher_keeps_its_id_and_gets_a_later_revision(ports: Ports) -> None:
    first = ports.run(ports.insights.create_matcher(definition(ports, "one"), "tag:1"))

    second = ports.run(ports.insights.update_matcher(first.name, definition(ports, "two"), "tag:2"))

    assert second.applied.matcher_id == first.applied.matcher_id
    assert second.applied.revision_id != first.applied.revision_id
    assert second.applied.revised_at > first.applied.revised_at
    assert matchers_of(ports) == [second]


def test_two_matchers_may_have_one_name(ports: Ports) -> None:
    for _ in range(2):
        ports.run(ports.insights.create_matcher(definition(ports, "one"), "tag:1"))

    assert len(matchers_of(ports)) == 2


def test_a_deleted_matcher_is_gone_and_not_found_afterwards(ports: Ports) -> None:
    made = ports.run(ports.insights.create_matcher(definition(ports, "one"), "tag:1"))

    ports.run(ports.insights.delete_matcher(made.name))

    assert matchers_of(ports) == []
    with pytest.raises(RemoteError) as caught:
        ports.run(ports.insights.delete_matcher(made.name))
    assert caught.value.code == "NOT_FOUND"
    with pytest.raises(RemoteError) as caught:
        ports.run(ports.insights.update_matcher(made.name, definition(ports, "x"), "tag:1"))
    assert caught.value.code == "NOT_FOUND"


def test_a_scorecard_goes_from_questions_to_a_deployed_revision(ports: Ports) -> None:
    api = ports.quality
    answers = (
        Answer("yes", ValueType.TEXT, "Yes", 2.5),
        Answer("three", ValueType.NUMBER, "3", 1.0),
        Answer("false", ValueType.BOOL, "false", 0.0),
        Answer("na", ValueType.NA, "", None),
    )
    question = Question(
        "greeting", 1, "Greets", "Did they greet?", "Any hello.", ("BUSINESS",), answers
    )
    later = dataclasses.replace(question, question_id="bye-bye", order=2)
    card = Scorecard(f"{ports.prefix}-card", "Card", "What it is.", (question, later))
    key = f"{card.scorecard_id}/{card.revision_id}"

    ports.run(api.create_scorecard(card))
    ports.run(api.create_scorecard_revision(key))
    for each in reversed(card.questions):
        ports.run(api.create_question(key, each))
    taken = [
        _code(ports, work)
        for work in (
            api.create_scorecard(card),
            api.create_scorecard_revision(key),
            api.create_question(key, question),
            api.deploy_scorecard_revision(key),
        )
    ]
    ports.run(api.tune_scorecard_revision(key))
    for _ in range(100):
        found = {each.key: each for each in ports.run(api.list_scorecard_revisions())}
        if found[key].state is not RevisionState.TRAINING:
            break
    again = _code(ports, api.tune_scorecard_revision(key))
    ports.run(api.deploy_scorecard_revision(key))
    ports.run(api.update_scorecard(dataclasses.replace(card, display_name="Renamed")))
    held = next(
        each for each in ports.run(api.list_scorecards()) if each.scorecard_id == card.scorecard_id
    )
    questions = ports.run(api.list_questions(key))
    revision = {each.key: each for each in ports.run(api.list_scorecard_revisions())}[key]
    ports.run(api.delete_scorecard(card.scorecard_id))
    ports.run(api.delete_scorecard(card.scorecard_id))

    assert taken == ["ALREADY_EXISTS"] * 3 + ["FAILED_PRECONDITION"]
    assert again == "FAILED_PRECONDITION"
    assert (held.display_name, held.description) == ("Renamed", card.marked_description)
    assert tuple(questions) == card.questions
    assert (revision.state, revision.is_deployed, revision.is_latest, revision.description) == (
        RevisionState.READY,
        True,
        True,
        card.marked_description,
    )
    assert key not in {each.key for each in ports.run(api.list_scorecard_revisions())}


def test_a_label_is_made_once_and_says_what_it_was_changed_to(ports: Ports) -> None:
    api, held = ports.quality, created(ports)
    answer = Answer("yes", ValueType.TEXT, "Yes", 2.0)
    asked = Question("greeting", 1, "Greets", "Did they greet?", "", (), (answer,))
    card = Scorecard(f"{ports.prefix}-labelled", "Card", "", (asked,))
    key = f"{card.scorecard_id}/{card.revision_id}"
    ports.run(api.create_scorecard(card))
    ports.run(api.create_scorecard_revision(key))
    ports.run(api.create_question(key, asked))
    scorecard, revision = key.split("/")
    question = f"qaScorecards/{scorecard}/revisions/{revision}/qaQuestions/greeting"
    labelled = TopicModel(f"{ports.prefix}-labelled", "en-AU", (Topic("Hardship", ""),))
    models = f"issueModels/{imported(ports, labelled).model_id}"
    first = WantedLabel(held.conversation_id, question, answer)
    other = WantedLabel(held.conversation_id, models, topic="Hardship")
    changed = dataclasses.replace(first, answer=Answer("na", ValueType.NA, "", None))
    nowhere = dataclasses.replace(first, conversation_id=f"{ports.prefix}-none")

    def mine() -> list[tuple[str, str, str, str]]:
        return sorted(
            (each.resource, each.answer_key, each.topic, each.name.rsplit("/", 1)[-1])
            for each in ports.run(api.list_labels())
            if each.conversation_id == held.conversation_id
        )

    ports.run(api.create_label(first))
    ports.run(api.create_label(other))
    before = mine()
    codes = [_code(ports, api.create_label(first)), _code(ports, api.create_label(nowhere))]
    ports.run(api.update_label(changed))

    topic = (models, "", "Hardship", other.label_id)
    assert codes == ["ALREADY_EXISTS", "NOT_FOUND"]
    assert before == sorted([topic, (question, "yes", "", first.label_id)])
    assert mine() == sorted([topic, (question, "na", "", first.label_id)])
    ports.run(api.delete_scorecard(card.scorecard_id))
    ended(ports, ports.run(api.delete_model(models.rsplit("/", 1)[-1])))


def test_a_topic_model_goes_from_a_file_to_a_deployed_model_and_away(ports: Ports) -> None:
    api = ports.quality
    topics = (Topic("Hardship", 'Says "lost my job".'), Topic("Complaint", ""))
    model = TopicModel(ports.prefix, "en-AU", topics)

    def states() -> list[tuple[str, bool]]:
        return [
            (each.state.value, each.is_ours)
            for each in ports.run(api.list_models())
            if each.display_name == model.display_name
        ]

    held = imported(ports, model)
    found = tuple(ports.run(api.list_topics(held.model_id)))
    seen = states()
    for change in (api.deploy_model, api.undeploy_model):
        ended(ports, ports.run(change(held.model_id)))
        seen += states()
    stats = ports.run(api.model_stats(held.model_id))
    ended(ports, ports.run(api.delete_model(held.model_id)))

    assert (found, held.language_code) == (topics, "en-AU")
    assert seen == [("UNDEPLOYED", True), ("DEPLOYED", True), ("UNDEPLOYED", True)]
    assert stats.analysed_count == 0
    assert states() == []


def imported(ports: Ports, model: TopicModel) -> Any:
    """Import a topic model from a file of the bucket, and return it as it is listed."""
    name = f"_topics/{model.display_name}.json"
    put = {"content_type": "application/json", "content_sha256": "a" * 64}
    ports.run(ports.store.put(name, model.file(), if_generation_match=0, **put))
    uri = f"gs://{ports.store.bucket}/{name}"
    ended(ports, ports.run(ports.quality.import_model(uri)))
    models = ports.run(ports.quality.list_models())
    (held,) = (each for each in models if each.display_name == model.display_name)
    return held


def _code(ports: Ports, work: Awaitable[Any]) -> str:
    with pytest.raises(RemoteError) as caught:
        ports.run(work)
    return caught.value.code
