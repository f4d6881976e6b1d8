"""Every method of the service, and how much of it is here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from ingest.emulator import protos


class Coverage(StrEnum):
    """How much of a method is emulated."""

    FULL = "full"
    PARTIAL = "partial"
    UNIMPLEMENTED = "unimplemented"


@dataclass(frozen=True, slots=True)
class Method:
    """One RPC; `request` and `response` are full protobuf message names."""

    service: str
    name: str
    request: str
    response: str
    coverage: Coverage = Coverage.UNIMPLEMENTED
    note: str = ""

    @property
    def path(self) -> str:
        """Return `/service/Method`."""
        return f"/{self.service}/{self.name}"

    @property
    def handler(self) -> str:
        """Return the name of the Python method that answers."""
        return re.sub(r"(?<!^)(?=[A-Z])", "_", self.name).lower()


_LRO = "google.longrunning.Operation"
_EMPTY = "google.protobuf.Empty"
_FULL, _PARTIAL = Coverage.FULL, Coverage.PARTIAL

_EMULATED: dict[str, tuple[Coverage, str]] = {
    "CreateConversation": (_PARTIAL, "transcripts in Cloud Storage; no Dialogflow source"),
    "GetConversation": (_FULL, ""),
    "ListConversations": (_FULL, "at most 1,000 a page"),
    "UpdateConversation": (_FULL, ""),
    "DeleteConversation": (_FULL, ""),
    "CreateAnalysis": (_PARTIAL, "topic models and scorecards find nothing"),
    "GetAnalysis": (_FULL, ""),
    "ListAnalyses": (_FULL, ""),
    "DeleteAnalysis": (_FULL, ""),
    "BulkAnalyzeConversations": (_PARTIAL, "as CreateAnalysis"),
    "UploadConversation": (_PARTIAL, "transcripts only: no audio, no redaction"),
    "BulkDeleteConversations": (_FULL, ""),
    "IngestConversations": (_PARTIAL, "transcripts only: no audio, no redaction"),
    "ExportInsightsData": (_PARTIAL, "version 3 and the later columns that can be filled"),
    "GetSettings": (_FULL, ""),
    "UpdateSettings": (_PARTIAL, "kept and returned; notifications are never sent"),
    "CalculateStats": (_PARTIAL, "no topics"),
    "CreatePhraseMatcher": (_FULL, ""),
    "GetPhraseMatcher": (_FULL, ""),
    "ListPhraseMatchers": (_FULL, ""),
    "UpdatePhraseMatcher": (_FULL, ""),
    "DeletePhraseMatcher": (_FULL, ""),
}

# Response by method, where it isn't the resource that the name ends with.
_RESPONSES = {
    **dict.fromkeys(
        (
            "UploadConversation", "CreateAnalysis", "BulkAnalyzeConversations",
            "BulkDeleteConversations", "IngestConversations", "ExportInsightsData",
            "CreateIssueModel", "DeleteIssueModel", "DeployIssueModel", "UndeployIssueModel",
            "ExportIssueModel", "ImportIssueModel", "InitializeEncryptionSpec", "QueryMetrics",
            "TuneQaScorecardRevision", "BulkUploadFeedbackLabels", "BulkDownloadFeedbackLabels",
        ),
        _LRO,
    ),
}  # fmt: skip

_RESOURCES = {
    "Conversation": "Create Get List Update Delete Upload",
    "Analysis": "Create Get List Delete",
    "PhraseMatcher": "Create Get List Update Delete",
    "IssueModel": "Create Get List Update Delete Deploy Undeploy Export Import",
    "Issue": "Get List Update Delete",
    "AnalysisRule": "Create Get List Update Delete",
    "View": "Create Get List Update Delete",
    "QaQuestion": "Create Get List Update Delete",
    "QaScorecard": "Create Get List Update Delete",
    "QaScorecardRevision": "Create Get List Delete Tune Deploy Undeploy",
    "FeedbackLabel": "Create Get List Update Delete",
    "Settings": "Get Update",
    "EncryptionSpec": "Get Initialize",
}
_PLURALS = {"Analysis": "Analyses"}
_OTHERS = (
    "BulkAnalyzeConversations", "BulkDeleteConversations", "IngestConversations",
    "ExportInsightsData", "CalculateStats", "CalculateIssueModelStats", "QueryMetrics",
    "ListAllFeedbackLabels", "BulkUploadFeedbackLabels", "BulkDownloadFeedbackLabels",
)  # fmt: skip


def _methods() -> tuple[Method, ...]:
    found: list[Method] = []
    for resource, verbs in _RESOURCES.items():
        for verb in verbs.split():
            noun = _PLURALS.get(resource, f"{resource}s") if verb == "List" else resource
            if verb == "Delete":
                response = _EMPTY
            elif verb == "List":
                response = f"{protos.PACKAGE}.List{noun}Response"
            else:
                response = f"{protos.PACKAGE}.{resource}"
            found.append(_method(f"{verb}{noun}", response))
    found.extend(_method(name, f"{protos.PACKAGE}.{name}Response") for name in _OTHERS)
    return tuple(found)


def _method(name: str, response: str) -> Method:
    coverage, note = _EMULATED.get(name, (Coverage.UNIMPLEMENTED, ""))
    request = f"{protos.PACKAGE}.{name}Request"
    return Method(protos.SERVICE, name, request, _RESPONSES.get(name, response), coverage, note)


INSIGHTS_METHODS = _methods()

OPERATIONS_METHODS = tuple(
    Method(protos.OPERATIONS_SERVICE, name, f"google.longrunning.{name}Request", response, *how)
    for name, response, how in (
        ("GetOperation", _LRO, (_FULL, "")),
        ("ListOperations", "google.longrunning.ListOperationsResponse", (_FULL, "")),
        ("CancelOperation", _EMPTY, (_FULL, "")),
        ("WaitOperation", _LRO, (_FULL, "")),
        ("DeleteOperation", _EMPTY, (Coverage.UNIMPLEMENTED, "")),
    )
)

ALL_METHODS = INSIGHTS_METHODS + OPERATIONS_METHODS

METHOD_NAMES = frozenset(method.name for method in ALL_METHODS)
UNIMPLEMENTED_NAMES = frozenset(
    method.name for method in ALL_METHODS if method.coverage is Coverage.UNIMPLEMENTED
)
OPERATION_KINDS = (
    frozenset(method.name for method in INSIGHTS_METHODS if method.response == _LRO)
    - UNIMPLEMENTED_NAMES
)
"""Operations are called by the method that starts them."""
BULK_KINDS = OPERATION_KINDS - {"CreateAnalysis", "UploadConversation"}
"""Operations of many items, of which one may fail."""
