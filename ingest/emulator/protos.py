"""The official messages in their plain protobuf form.

The proto-plus wrappers of the client cost several times more than the messages under them, and a
server that lists a hundred conversations a page feels it; so only the plain classes are used.
"""

from __future__ import annotations

from typing import Any

from google.cloud.contact_center_insights_v1 import types
from google.longrunning import operations_pb2
from google.protobuf import any_pb2, duration_pb2, empty_pb2, field_mask_pb2, timestamp_pb2
from google.rpc import error_details_pb2, status_pb2

PACKAGE = "google.cloud.contactcenterinsights.v1"
SERVICE = f"{PACKAGE}.ContactCenterInsights"
ANALYSIS_TYPE_URL = f"type.googleapis.com/{PACKAGE}.Analysis"
OPERATIONS_SERVICE = "google.longrunning.Operations"

Pb = Any
"""A protobuf message; the generated classes have no useful static type."""


def message_class(name: str) -> Any:
    """Return the plain protobuf class of the official type `name`."""
    return getattr(types, name).pb()


Analysis = message_class("Analysis")
AnalysisResult = message_class("AnalysisResult")
AnnotatorSelector = message_class("AnnotatorSelector")
AnnotationBoundary = message_class("AnnotationBoundary")
CallAnnotation = message_class("CallAnnotation")
CallMetadata = types.AnalysisResult.CallAnalysisMetadata.pb()
Conversation = message_class("Conversation")
ConversationSummary = message_class("ConversationSummarizationSuggestionData")
Entity = message_class("Entity")
EntityMentionData = message_class("EntityMentionData")
IntentMatchData = message_class("IntentMatchData")
PhraseMatchData = message_class("PhraseMatchData")
SentimentData = message_class("SentimentData")
PhraseMatcher = message_class("PhraseMatcher")
RuntimeAnnotation = message_class("RuntimeAnnotation")
Settings = message_class("Settings")
ListConversationsResponse = message_class("ListConversationsResponse")
Transcript = types.Conversation.Transcript.pb()
Segment = types.Conversation.Transcript.TranscriptSegment.pb()
Word = types.Conversation.Transcript.TranscriptSegment.WordInfo.pb()
ConversationView = types.ConversationView
Medium = types.Conversation.Medium
AnswerValue = types.QaAnswer.AnswerValue.pb()

Any_ = any_pb2.Any
Duration = duration_pb2.Duration
Empty = empty_pb2.Empty
FieldMask = field_mask_pb2.FieldMask
Operation = operations_pb2.Operation
BadRequest = error_details_pb2.BadRequest
RetryInfo = error_details_pb2.RetryInfo
Status = status_pb2.Status
Timestamp = timestamp_pb2.Timestamp


def timestamp(micros: int) -> Pb:
    """Return the Timestamp of `micros` microseconds since the epoch."""
    seconds, rest = divmod(micros, 1_000_000)
    return Timestamp(seconds=seconds, nanos=rest * 1000)


def timestamp_micros(value: Pb) -> int:
    """Return the microseconds since the epoch of a Timestamp."""
    return int(value.seconds * 1_000_000 + value.nanos // 1000)


def duration(micros: int) -> Pb:
    """Return the Duration of `micros` microseconds."""
    sign = -1 if micros < 0 else 1
    seconds, rest = divmod(abs(micros), 1_000_000)
    return Duration(seconds=sign * seconds, nanos=sign * rest * 1000)


def duration_micros(value: Pb) -> int:
    """Return the microseconds of a Duration."""
    return int(value.seconds * 1_000_000 + value.nanos // 1000)


def packed(message: Pb) -> Pb:
    """Return `message` wrapped in an Any."""
    wrapped = Any_()
    wrapped.Pack(message)
    return wrapped
