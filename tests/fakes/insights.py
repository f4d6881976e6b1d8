"""Insights in memory: conversations, billed analyses, slow operations, phrase matchers."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import orjson
from pydantic.alias_generators import to_camel

from ingest.domain.annotators import ANNOTATOR_FLAGS, AppliedMatcher, Selector
from ingest.domain.insights_format import CiSubmission
from ingest.domain.matchers import MatcherDefinition
from ingest.errors import RemoteError
from ingest.ports.move import (
    CiAnalysis,
    CiAnalysisState,
    CiConversation,
    CiMatcher,
    CiOperation,
    Page,
)
from tests.fakes.clock import ManualClock
from tests.fakes.quality import FakeQuality

PARENT = "projects/local-project/locations/us-central1"


_ROLES = {"AGENT": "HUMAN_AGENT", "AUTOMATED_AGENT": "AUTOMATED_AGENT", "CUSTOMER": "END_USER"}


@dataclass
class _Held:
    submission: CiSubmission
    updated_at: dt.datetime
    created_at: dt.datetime
    transcript_uri: str
    analyses: list[CiAnalysis] = field(default_factory=list)

    @property
    def latest(self) -> CiAnalysis | None:
        return self.analyses[-1] if self.analyses else None


@dataclass
class _Operation:
    kind: str
    name: str
    ends_at: float
    conversation_ids: list[str]
    selector: Selector
    requested_at: dt.datetime
    error_code: str | None = None
    is_ended: bool = False


@dataclass
class FakeInsights(FakeQuality):
    """One location; `analyses` lists every one that was begun, which is what gets billed."""

    clock: ManualClock
    bucket: str = "local-project-cc-dev"
    list_page_size: int = 100
    analysis_sec: float = 0.0
    failing_analyses: dict[str, str] = field(default_factory=dict)
    analyses: list[tuple[str, str]] = field(default_factory=list)
    selectors: list[tuple[str, Selector]] = field(default_factory=list)
    _held: dict[str, _Held] = field(default_factory=dict)
    _operations: dict[str, _Operation] = field(default_factory=dict)
    _matchers: dict[str, CiMatcher] = field(default_factory=dict)
    _numbers: count[int] = field(default_factory=lambda: count(1))

    @property
    def conversation_ids(self) -> list[str]:
        """Ids of all conversations, in order."""
        return sorted(self._held)

    def labels(self, conversation_id: str) -> dict[str, str]:
        """Return a conversation's labels, without a call."""
        return self._held[conversation_id].submission.labels

    async def create_conversation(self, submission: CiSubmission) -> CiConversation:
        async with self.trouble.call("create_conversation"):
            if submission.conversation_id in self._held:
                raise RemoteError("fake: id is taken", code="ALREADY_EXISTS")
            uri = f"gs://{self.bucket}/{submission.transcript_object}"
            self._hold(submission, uri)
            return self._conversation(submission.conversation_id)

    def make_foreign(
        self, submission: CiSubmission, labels: dict[str, str], analyses: int = 0
    ) -> None:
        """Hold a conversation as another team makes it, from a bucket of its own.

        What that team has analysed isn't among `analyses`, which we pay.
        """
        uri = f"gs://another-team/calls/{submission.conversation_id}.json"
        self._hold(_replaced(submission, {"labels": labels}), uri)
        for _ in range(analyses):
            self._begin("CreateAnalysis", [submission.conversation_id], Selector(frozenset()))
            self.analyses.pop()
            self.selectors.pop()

    def _hold(self, submission: CiSubmission, uri: str) -> None:
        moment = self._moment()
        self._held[submission.conversation_id] = _Held(submission, moment, moment, uri)

    async def get_conversation(self, conversation_id: str) -> CiConversation | None:
        async with self.trouble.call("get_conversation"):
            self._end_operations()
            if conversation_id not in self._held:
                return None
            return self._conversation(conversation_id)

    async def update_conversation(self, submission: CiSubmission) -> CiConversation:
        async with self.trouble.call("update_conversation"):
            held = self._existing(submission.conversation_id)
            kept = {
                "transcript_object": held.submission.transcript_object,
                "medium": held.submission.medium,
            }
            held.submission = _replaced(submission, kept)
            held.updated_at = self._moment()
            return self._conversation(submission.conversation_id)

    async def set_labels(self, conversation_id: str, labels: Mapping[str, str]) -> None:
        async with self.trouble.call("set_labels"):
            held = self._existing(conversation_id)
            held.submission = _replaced(held.submission, {"labels": dict(labels)})
            held.updated_at = self._moment()

    async def list_analyses(self, conversation_id: str) -> Sequence[CiAnalysisState]:
        async with self.trouble.call("list_analyses"):
            self._end_operations()
            return [
                CiAnalysisState(analysis.name, analysis.requested_at, _analysis_json(analysis))
                for analysis in reversed(self._existing(conversation_id).analyses)
            ]

    async def delete_conversation(self, conversation_id: str) -> None:
        async with self.trouble.call("delete_conversation"):
            self._held.pop(conversation_id, None)

    async def list_conversations(self, filter_: str, page_token: str = "") -> Page[CiConversation]:
        async with self.trouble.call("list_conversations"):
            self._end_operations()
            ids = [i for i in sorted(self._held) if self._is_admitted(i, filter_)]
            rest = [i for i in ids if i >= page_token]
            page, after = rest[: self.list_page_size], rest[self.list_page_size :]
            return Page([self._conversation(i) for i in page], after[0] if after else "")

    async def create_analysis(self, conversation_id: str, selector: Selector) -> CiOperation:
        async with self.trouble.call("create_analysis"):
            self._existing(conversation_id)
            return self._begin("CreateAnalysis", [conversation_id], selector)

    async def running_analysis(self, conversation_id: str) -> CiOperation | None:
        async with self.trouble.call("running_analysis"):
            return self._running("CreateAnalysis", conversation_id)

    async def running_bulk_analysis(self) -> CiOperation | None:
        async with self.trouble.call("running_bulk_analysis"):
            return self._running("BulkAnalyzeConversations", None)

    async def bulk_analyze(self, filter_: str, selector: Selector) -> CiOperation:
        async with self.trouble.call("bulk_analyze"):
            if self._running("BulkAnalyzeConversations", None) is not None:
                raise RemoteError("fake: one bulk analysis runs", code="RESOURCE_EXHAUSTED")
            ids = [i for i in sorted(self._held) if self._is_admitted(i, filter_)]
            return self._begin("BulkAnalyzeConversations", ids, selector)

    async def get_operation(self, name: str) -> CiOperation:
        async with self.trouble.call("get_operation"):
            self._end_operations()
            return _state_of(self._operations[name])

    async def list_matchers(self) -> Sequence[CiMatcher]:
        async with self.trouble.call("list_matchers"):
            return [self._matchers[name] for name in sorted(self._matchers)]

    async def create_matcher(self, definition: MatcherDefinition, version_tag: str) -> CiMatcher:
        async with self.trouble.call("create_matcher"):
            name = f"{PARENT}/phraseMatchers/{next(self._numbers):020d}"
            return self._have_matcher(name, definition, version_tag)

    async def update_matcher(
        self, name: str, definition: MatcherDefinition, version_tag: str
    ) -> CiMatcher:
        async with self.trouble.call("update_matcher"):
            if name not in self._matchers:
                raise RemoteError("fake: no such matcher", code="NOT_FOUND")
            return self._have_matcher(name, definition, version_tag)

    async def delete_matcher(self, name: str) -> None:
        async with self.trouble.call("delete_matcher"):
            if self._matchers.pop(name, None) is None:
                raise RemoteError("fake: no such matcher", code="NOT_FOUND")

    def _have_matcher(self, name: str, definition: MatcherDefinition, tag: str) -> CiMatcher:
        revision_id = f"{next(self._numbers):08x}"
        applied = AppliedMatcher(
            name.rsplit("/", 1)[-1],
            definition.display_name,
            revision_id,
            self._moment(),
            definition.active,
        )
        payload = {"name": name, "revisionId": revision_id, "displayName": definition.display_name}
        self._matchers[name] = CiMatcher(applied, name, tag, definition, payload)
        return self._matchers[name]

    def _begin(self, kind: str, ids: list[str], selector: Selector) -> CiOperation:
        name = f"{PARENT}/operations/{next(self._numbers)}"
        operation = _Operation(
            kind, name, self.clock.monotonic() + self.analysis_sec, ids, selector, self._moment()
        )
        operation.error_code = next(
            (self.failing_analyses[i] for i in ids if i in self.failing_analyses), None
        )
        self._operations[name] = operation
        self.selectors += [(i, selector) for i in ids]
        self.analyses += [(i, self._held[i].submission.transcript_sha256) for i in ids]
        self._end_operations()
        return _state_of(operation)

    def _end_operations(self) -> None:
        for operation in self._operations.values():
            if operation.is_ended or self.clock.monotonic() < operation.ends_at:
                continue
            operation.is_ended = True
            if operation.error_code is not None:
                continue
            for conversation_id in operation.conversation_ids:
                held = self._held.get(conversation_id)
                if held is not None:
                    number = next(self._numbers)
                    name = f"{PARENT}/conversations/{conversation_id}/analyses/{number}"
                    held.analyses.append(
                        CiAnalysis(name, operation.requested_at, operation.selector)
                    )
                    held.updated_at = self._moment()

    def _running(self, kind: str, conversation_id: str | None) -> CiOperation | None:
        self._end_operations()
        for operation in self._operations.values():
            is_of = conversation_id is None or conversation_id in operation.conversation_ids
            if operation.kind == kind and is_of and not operation.is_ended:
                return _state_of(operation)
        return None

    def _existing(self, conversation_id: str) -> _Held:
        if conversation_id not in self._held:
            raise RemoteError("fake: no such conversation", code="NOT_FOUND")
        return self._held[conversation_id]

    def _is_admitted(self, conversation_id: str, filter_: str) -> bool:
        held = self._held[conversation_id]
        date = re.search(r'labels\.batch_date="([^"]+)"', filter_)
        if date and held.submission.labels.get("batch_date") != date[1]:
            return False
        since = re.search(r'update_time>="([^"]+)"', filter_)
        if since and held.updated_at < dt.datetime.fromisoformat(since[1]):
            return False
        return '-latest_analysis:"*"' not in filter_ or held.latest is None

    def _moment(self) -> dt.datetime:
        return self.clock.now() + dt.timedelta(microseconds=next(self._numbers))

    def _conversation(self, conversation_id: str) -> CiConversation:
        held = self._held[conversation_id]
        submission, latest = held.submission, held.latest
        name = f"{PARENT}/conversations/{conversation_id}"
        payload: dict[str, Any] = {
            "name": name,
            "labels": dict(submission.labels),
            "createTime": held.created_at.isoformat().replace("+00:00", "Z"),
            "dataSource": {"gcsSource": {"transcriptUri": held.transcript_uri}},
        }
        if latest is not None:
            payload["latestAnalysis"] = _analysis_json(latest)
        segments = [
            {"text": entry["text"], "segmentParticipant": {"role": _ROLES[entry["role"]]}}
            for entry in orjson.loads(submission.transcript_content)["entries"]
        ]
        payload["transcript"] = {"transcriptSegments": segments}
        return CiConversation(
            name=name,
            conversation_id=conversation_id,
            transcript_uri=held.transcript_uri,
            medium=submission.medium,
            labels=dict(submission.labels),
            updated_at=held.updated_at,
            latest_analysis=latest,
            read_payload=lambda: payload,
        )


def _analysis_json(analysis: CiAnalysis) -> dict[str, Any]:
    return {
        "name": analysis.name,
        "requestTime": analysis.requested_at.isoformat().replace("+00:00", "Z"),
        "annotatorSelector": {
            to_camel(flag): flag in analysis.selector.flags for flag in ANNOTATOR_FLAGS
        }
        | {"phraseMatchers": sorted(analysis.selector.phrase_matchers)}
        | {"issueModels": sorted(analysis.selector.issue_models)}
        | _scorecards_json(analysis.selector),
    }


def _scorecards_json(selector: Selector) -> dict[str, Any]:
    names = [
        "{}/qaScorecards/{}/revisions/{}".format(PARENT, *key.split("/"))
        for key in sorted(selector.scorecard_revisions)
    ]
    return {"qaConfig": {"scorecardList": {"qaScorecardRevisions": names}}} if names else {}


def _replaced(submission: CiSubmission, changes: dict[str, Any]) -> CiSubmission:
    return CiSubmission(**{**vars(submission), **changes})


def _state_of(operation: _Operation) -> CiOperation:
    failed = operation.is_ended and operation.error_code is not None
    counts = {}
    if operation.kind == "BulkAnalyzeConversations":
        done = len(operation.conversation_ids) if operation.is_ended and not failed else 0
        counts = {
            "completed_analyses_count": done,
            "failed_analyses_count": 0,
            "total_requested_analyses_count": len(operation.conversation_ids),
        }
    return CiOperation(
        operation.name,
        operation.is_ended,
        operation.error_code if failed else None,
        "fake: the analysis failed" if failed else None,
        counts,
    )
