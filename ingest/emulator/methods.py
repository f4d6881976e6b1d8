"""Every method of the service, how much of it is here, and the table of it in README.md.

`python -m ingest.emulator.methods` writes the table into the README beside this file.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ingest.emulator import protos
from ingest.errors import InputError


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
    "CreateAnalysis": (
        _PARTIAL,
        "rubrics and phrase lists stand in for the models of scorecards and topics",
    ),
    "GetAnalysis": (_FULL, ""),
    "ListAnalyses": (_FULL, ""),
    "DeleteAnalysis": (_FULL, ""),
    "BulkAnalyzeConversations": (_PARTIAL, "as CreateAnalysis"),
    "UploadConversation": (_PARTIAL, "transcripts only: no audio, no redaction"),
    "BulkDeleteConversations": (_FULL, ""),
    "IngestConversations": (_PARTIAL, "transcripts only: no audio, no redaction"),
    "ExportInsightsData": (_PARTIAL, "versions 3 to 18"),
    "GetSettings": (_FULL, ""),
    "UpdateSettings": (
        _PARTIAL,
        "what a notification holds is assumed; of redaction and speech only kept",
    ),
    "CalculateStats": (_FULL, ""),
    "QueryMetrics": (
        _PARTIAL,
        "not those of Dialogflow, Agent Assist, agents' versions, kinds of sentiment",
    ),
    **{
        f"{verb}{noun}": (_FULL, "")
        for noun, plural in (
            ("AnalysisRule", "AnalysisRules"),
            ("View", "Views"),
            ("FeedbackLabel", "FeedbackLabels"),
            ("QaScorecard", "QaScorecards"),
            ("QaScorecardRevision", "QaScorecardRevisions"),
            ("QaQuestion", "QaQuestions"),
            ("IssueModel", "IssueModels"),
            ("Issue", "Issues"),
        )
        for verb, noun in (
            ("Create", noun),
            ("Get", noun),
            ("List", plural),
            ("Update", noun),
            ("Delete", noun),
        )
    },
    "TuneQaScorecardRevision": (_PARTIAL, "checks labels; no model is trained"),
    "DeployQaScorecardRevision": (_FULL, ""),
    "UndeployQaScorecardRevision": (_FULL, ""),
    "ListAllFeedbackLabels": (_FULL, ""),
    "BulkUploadFeedbackLabels": (_PARTIAL, "JSON of an assumed form; no CSV"),
    "BulkDownloadFeedbackLabels": (_PARTIAL, "JSON of an assumed form; no CSV, no template"),
    "GetEncryptionSpec": (_FULL, ""),
    "InitializeEncryptionSpec": (_PARTIAL, "the key is kept and encrypts nothing"),
    "CreateIssueModel": (_PARTIAL, "phrase lists stand in for Google's model"),
    "DeployIssueModel": (_FULL, ""),
    "UndeployIssueModel": (_FULL, ""),
    "ExportIssueModel": (_PARTIAL, "JSON of which only the issues are documented"),
    "ImportIssueModel": (_PARTIAL, "JSON of which only the issues are documented"),
    "CalculateIssueModelStats": (_FULL, ""),
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
BULK_KINDS = OPERATION_KINDS & {
    "BulkAnalyzeConversations", "BulkDeleteConversations", "IngestConversations",
    "ExportInsightsData", "BulkUploadFeedbackLabels",
}  # fmt: skip
"""Operations of many items, of which one may fail."""


EVERY = "*"


def check_name(name: str, known: Collection[str], what: str) -> None:
    """Raise InputError unless `name` is known or `*`; the hint is the likeliest name."""
    if name == EVERY or name in known:
        return
    close = difflib.get_close_matches(name, sorted(known), 1)
    hint = f"did you mean {close[0]}?" if close else f"use one of {', '.join(sorted(known))} or *"
    raise InputError(f"there is no {what} {name!r}", hint)


def checked_seconds(seconds: object, most: int) -> float:
    """Return seconds from 0 to `most`; raise InputError for anything else."""
    # No comparison holds of NaN, so it is refused too.
    if not isinstance(seconds, bool) and isinstance(seconds, int | float) and 0 <= seconds <= most:
        return float(seconds)
    raise InputError(f"{seconds!r} are no seconds", f"give a number from 0 to {most}")


README = Path(__file__).with_name("README.md")
BEGIN = "<!-- methods: made by `python -m ingest.emulator.methods` -->"
END = "<!-- end of methods -->"


def coverage_table() -> str:
    """Return the Markdown table, the fullest methods first."""
    count = Counter(method.coverage for method in ALL_METHODS)
    order = list(Coverage)
    summary = ", ".join(f"{count[coverage]} {coverage.value}" for coverage in order)
    lines = [f"{len(ALL_METHODS)} methods: {summary}.", "", "| method | status | note |"]
    lines.append("|---|---|---|")
    ranked = sorted(ALL_METHODS, key=lambda method: (order.index(method.coverage), method.name))
    lines.extend(f"| {m.name} | {m.coverage.value} | {m.note} |" for m in ranked)
    return "\n".join(lines)


def with_table(readme: str) -> str:
    """Return the README with today's table between its markers."""
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{coverage_table()}\n{END}{after}"


if __name__ == "__main__":
    README.write_text(with_table(README.read_text(encoding="utf-8")), encoding="utf-8")
