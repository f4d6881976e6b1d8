"""Between Insights' protobuf messages, our own types, and the REST JSON that raw tables keep."""

from __future__ import annotations

import base64
import datetime as dt
from functools import partial
from typing import Any

from google.cloud import contact_center_insights_v1 as insights
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet
from google.rpc import code_pb2

from ingest.domain.annotators import (
    ANNOTATOR_FLAGS,
    AppliedMatcher,
    Selector,
    scorecard_revision_key,
)
from ingest.domain.insights_format import CiSubmission
from ingest.domain.matchers import MatcherDefinition, MatchType, PhraseRule, Role, RuleGroup
from ingest.domain.scorecards import LiveRevision, RevisionState
from ingest.domain.topics import LiveModel, ModelState
from ingest.ports.inspect import CiAnalysisState
from ingest.ports.move import CiAnalysis, CiConversation, CiMatcher, CiOperation

MATCHER_FIELDS = (
    "display_name",
    "version_tag",
    "type",
    "active",
    "phrase_match_rule_groups",
    "role_match",
)
UNKNOWN_FIELDS = "@unknownFields"
_MEDIA = {medium.value: medium.name for medium in insights.Conversation.Medium}
_UNSET_MEDIUM = insights.Conversation.Medium.PHONE_CALL.value
"""What Insights takes a conversation for that doesn't say."""
_LONGEST_PLAIN_WORD = 127
"""Bytes that protobuf tells the length of in one byte."""
_COUNT_FIELDS = (
    "completed_analyses_count",
    "failed_analyses_count",
    "total_requested_analyses_count",
)


def conversation(submission: CiSubmission, bucket: str) -> insights.Conversation:
    """Return the message that CreateConversation gets."""
    return insights.Conversation(
        data_source=insights.ConversationDataSource(
            gcs_source=insights.GcsSource(
                transcript_uri=f"gs://{bucket}/{submission.transcript_object}"
            )
        ),
        start_time=submission.start_time,
        language_code=submission.language_code,
        medium=insights.Conversation.Medium[submission.medium],
        agent_id=submission.agent_id,
        quality_metadata=insights.Conversation.QualityMetadata(
            agent_info=[
                insights.Conversation.QualityMetadata.AgentInfo(
                    agent_id=submission.agent_id,
                    display_name=submission.agent_name,
                    teams=[submission.agent_team],
                    location=submission.agent_site,
                )
            ]
        ),
        labels=submission.labels,
    )


def ci_conversation(message: insights.Conversation) -> CiConversation:
    """Return the conversation that Insights answered with."""
    return ci_conversation_of(insights.Conversation.pb(message))


def ci_conversation_of(pb: Any) -> CiConversation:
    """Return the conversation of a plain protobuf message."""
    return CiConversation(
        name=pb.name,
        conversation_id=pb.name.rsplit("/", 1)[-1],
        transcript_uri=pb.data_source.gcs_source.transcript_uri,
        medium=_MEDIA.get(pb.medium or _UNSET_MEDIUM, str(pb.medium)),
        labels=dict(pb.labels),
        updated_at=_utc(pb.update_time),
        latest_analysis=_analysis(pb.latest_analysis) if pb.HasField("latest_analysis") else None,
        read_payload=partial(conversation_json, pb),
    )


def ci_analysis_state(pb: Any) -> CiAnalysisState:
    """Return the analysis of a plain protobuf message."""
    return CiAnalysisState(
        name=pb.name,
        created_at=pb.create_time.ToDatetime(tzinfo=dt.UTC),
        payload=rest_json(pb),
    )


def annotator_selector(selector: Selector, parent: str) -> insights.AnnotatorSelector:
    """Return the selector message; every flag is set, on or off."""
    message = insights.AnnotatorSelector(
        **{flag: flag in selector.flags for flag in ANNOTATOR_FLAGS},
        phrase_matchers=[
            f"{parent}/phraseMatchers/{matcher_id}"
            for matcher_id in sorted(selector.phrase_matchers)
        ],
        issue_models=[f"{parent}/issueModels/{id_}" for id_ in sorted(selector.issue_models)],
    )
    if selector.scorecard_revisions:
        names = [
            scorecard_revision_name(parent, key) for key in sorted(selector.scorecard_revisions)
        ]
        message.qa_config.scorecard_list.qa_scorecard_revisions = names
    return message


def scorecard_revision_name(parent: str, key: str) -> str:
    """Return the whole name of `scorecard_id/revision_id`."""
    scorecard_id, _, revision_id = key.partition("/")
    return f"{parent}/qaScorecards/{scorecard_id}/revisions/{revision_id}"


def scorecard_revision(message: Any) -> LiveRevision:
    """Return the revision of a scorecard that Insights answered with."""
    scorecard_id, _, revision_id = scorecard_revision_key(message.name).partition("/")
    return LiveRevision(
        scorecard_id,
        revision_id,
        RevisionState(insights.QaScorecardRevision.State(message.state).name),
        # There is no state of one that is deployed.
        is_deployed="default" in message.alternate_ids,
        is_latest="latest" in message.alternate_ids,
        description=message.snapshot.description,
    )


def topic_model(message: Any) -> LiveModel:
    """Return the topic model that Insights answered with."""
    return LiveModel(
        message.name.rsplit("/", 1)[-1],
        message.display_name,
        ModelState(insights.IssueModel.State(message.state).name),
        message.language_code,
    )


def ci_operation(operation: Any) -> CiOperation:
    """Return the state of a google.longrunning.Operation."""
    metadata = _operation_metadata(operation)
    counts = {name: getattr(metadata, name) for name in _COUNT_FIELDS if hasattr(metadata, name)}
    errors = tuple(
        (code_pb2.Code.Name(status.code), status.message)
        for status in getattr(metadata, "partial_errors", ())
    )
    failed = operation.done and operation.HasField("error")
    return CiOperation(
        name=operation.name,
        is_done=operation.done,
        error_code=code_pb2.Code.Name(operation.error.code) if failed else None,
        error_message=operation.error.message if failed else None,
        counts=counts,
        partial_errors=errors,
    )


def phrase_matcher(definition: MatcherDefinition, version_tag: str) -> insights.PhraseMatcher:
    """Return the message of a definition."""
    return insights.PhraseMatcher(
        display_name=definition.display_name,
        version_tag=version_tag,
        type_=insights.PhraseMatcher.PhraseMatcherType[definition.type.value],
        active=definition.active,
        role_match=insights.ConversationParticipant.Role[definition.role_match.value],
        phrase_match_rule_groups=[
            insights.PhraseMatchRuleGroup(
                type_=insights.PhraseMatchRuleGroup.PhraseMatchRuleGroupType[group.type.value],
                phrase_match_rules=[_rule(rule) for rule in group.rules],
            )
            for group in definition.groups
        ],
    )


def ci_matcher(message: insights.PhraseMatcher) -> CiMatcher:
    """Return the phrase matcher that Insights answered with."""
    pb = insights.PhraseMatcher.pb(message)
    revised_at = max(_utc(pb.revision_create_time), _utc(pb.activation_update_time))
    return CiMatcher(
        applied=AppliedMatcher(
            matcher_id=matcher_id(pb.name),
            display_name=pb.display_name,
            revision_id=pb.revision_id,
            revised_at=revised_at,
            is_active=pb.active,
        ),
        name=pb.name.partition("@")[0],
        version_tag=pb.version_tag,
        definition=MatcherDefinition(
            display_name=pb.display_name,
            type=MatchType(insights.PhraseMatcher.PhraseMatcherType(pb.type_).name),
            groups=tuple(_group(group, number) for number, group in _numbered(pb)),
            role_match=Role(insights.ConversationParticipant.Role(pb.role_match).name),
            active=pb.active,
        ),
        payload=rest_json(pb),
    )


def matcher_id(name: str) -> str:
    """Return the id in a matcher's name, without a revision."""
    return name.rsplit("/", 1)[-1].partition("@")[0]


def _numbered(pb: Any) -> list[tuple[int, Any]]:
    return list(enumerate(pb.phrase_match_rule_groups, 1))


def _group(pb: Any, number: int) -> RuleGroup:
    group_type = insights.PhraseMatchRuleGroup.PhraseMatchRuleGroupType(pb.type_)
    return RuleGroup(
        name=f"group_{number}",
        type=MatchType(group_type.name),
        rules=tuple(
            PhraseRule(
                query=rule.query,
                negated=rule.negated,
                case_sensitive=rule.config.exact_match_config.case_sensitive,
            )
            for rule in pb.phrase_match_rules
        ),
    )


def _rule(rule: PhraseRule) -> insights.PhraseMatchRule:
    return insights.PhraseMatchRule(
        query=rule.query,
        negated=rule.negated,
        config=insights.PhraseMatchRuleConfig(
            exact_match_config=insights.ExactMatchConfig(case_sensitive=rule.case_sensitive)
        ),
    )


def _analysis(pb: Any) -> CiAnalysis:
    chosen = pb.annotator_selector
    listed = chosen.qa_config.scorecard_list.qa_scorecard_revisions
    return CiAnalysis(
        name=pb.name,
        requested_at=_utc(pb.request_time),
        selector=Selector(
            frozenset(flag for flag in ANNOTATOR_FLAGS if getattr(chosen, flag)),
            frozenset(matcher_id(name) for name in chosen.phrase_matchers),
            frozenset(map(scorecard_revision_key, listed)),
            frozenset(name.rsplit("/", 1)[-1] for name in chosen.issue_models),
        ),
    )


def _operation_metadata(operation: Any) -> Message | None:
    for kind in (
        insights.BulkAnalyzeConversationsMetadata,
        insights.CreateAnalysisOperationMetadata,
    ):
        descriptor = kind.pb().DESCRIPTOR
        if operation.metadata.Is(descriptor):
            metadata: Message = kind.pb()()
            operation.metadata.Unpack(metadata)
            return metadata
    return None


def _utc(timestamp: Any) -> dt.datetime:
    moment: dt.datetime = timestamp.ToDatetime(tzinfo=dt.UTC)
    return moment


def rest_json(message: Message) -> dict[str, Any]:
    """Return the message as the REST JSON that Google's API itself answers with, whole.

    lowerCamelCase, int64 as text, zero values absent: what `MessageToDict` gives. A field that
    the client's message type doesn't know is kept too, under `@unknownFields`, since raw tables
    drop nothing.
    """
    result: dict[str, Any] = MessageToDict(message)
    _keep_unknown_fields(message, result)
    return result


def conversation_json(conversation: Any) -> dict[str, Any]:
    """Return a conversation as REST JSON, whole.

    The words of its transcript, some thousand messages of one field each, take most of the time
    of a conversion; they're written apart, which gives the same JSON in half the time.
    """
    wordless = type(conversation)()
    wordless.CopyFrom(conversation)
    for segment in wordless.transcript.transcript_segments:
        segment.ClearField("words")
    result: dict[str, Any] = MessageToDict(wordless)
    written = result.get("transcript", {}).get("transcriptSegments", ())
    for segment, target in zip(conversation.transcript.transcript_segments, written, strict=True):
        if segment.words:
            target["words"] = [_word_json(word) for word in segment.words]
    _keep_unknown_fields(conversation, result)
    return result


def _word_json(word: Any) -> dict[str, Any]:
    text = word.word
    size = len(text.encode())
    # A message of this size holds the text (its tag, its length, its bytes) and nothing else.
    if 0 < size <= _LONGEST_PLAIN_WORD and word.ByteSize() == size + 2:
        return {"word": text}
    written: dict[str, Any] = MessageToDict(word)
    return written


def _keep_unknown_fields(message: Message, result: dict[str, Any]) -> None:
    known = type(message)()
    known.CopyFrom(message)
    known.DiscardUnknownFields()
    if known.ByteSize() != message.ByteSize():
        result[UNKNOWN_FIELDS] = _unknown_fields(message, "")


def _unknown_fields(message: Message, path: str) -> list[dict[str, Any]]:
    found = [
        {"path": path, "number": field.field_number, "data": _plain(field.data)}
        for field in UnknownFieldSet(message)
    ]
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        if field.message_type.GetOptions().map_entry:
            is_message = field.message_type.fields_by_name["value"].message_type is not None
            inner = [(key, value[key]) for key in value] if is_message else []
        elif field.is_repeated:
            inner = list(enumerate(value))
        else:
            inner = [(None, value)]
        for key, item in inner:
            step = field.json_name if key is None else f"{field.json_name}/{key}"
            found += _unknown_fields(item, f"{path}/{step}")
    return found


def _plain(data: Any) -> Any:
    if isinstance(data, bytes):
        return {"base64": base64.b64encode(data).decode()}
    if isinstance(data, int):
        return str(data)
    return [{"number": field.field_number, "data": _plain(field.data)} for field in data]
