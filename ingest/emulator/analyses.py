"""Analyses: create, get, list, delete, analyse many; and where they are kept."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import orjson

from ingest.emulator import protos, wire
from ingest.emulator.analysis.annotate import Findings, effective_selector
from ingest.emulator.analysis.annotators import as_text, summarize
from ingest.emulator.analysis.turns import Turn, read_turns
from ingest.emulator.annotator_process import Annotators, Job, LocalAnnotators
from ingest.emulator.context import Context
from ingest.emulator.conversations import ConversationMethods, ConversationStore, StoredConversation
from ingest.emulator.database import Database
from ingest.emulator.errors import ApiError, invalid, not_found
from ingest.emulator.filters import CONVERSATION_FIELDS, Condition, compile_filter
from ingest.emulator.issue_models import labels_of
from ingest.emulator.issue_results import IssueResults
from ingest.emulator.notifications import CREATE_ANALYSIS
from ingest.emulator.operation_store import OperationStore
from ingest.emulator.operations import Kind, OperationEngine, Outcome, Running
from ingest.emulator.phrase_matchers import MatcherStore
from ingest.emulator.qa_results import ScorecardResults, ScoredConversation
from ingest.emulator.qa_rubric import Call, Rubric
from ingest.emulator.request_fields import check_selector, decode_token, encode_token, page_size


@dataclass(frozen=True, slots=True)
class StoredAnalysis:
    """One analysis; `body` is a serialized Analysis."""

    seq: int
    analysis_id: str
    create_us: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Matches:
    """How often what was found: filters and statistics ask for it."""

    intents: Mapping[str, int]
    """By display name of the smart highlight."""
    phrase_matchers: Mapping[str, int]
    """By id of the phrase matcher."""
    issues: Sequence[str] = ()
    """The topic model and the issues found; see `issue_models.labels_of`."""


@dataclass(frozen=True, slots=True)
class NewAnalysis:
    """An analysis to keep."""

    conversation_seq: int
    analysis_id: str
    create_us: int
    operation_id: str
    body: bytes
    matches: Matches


class _Target(NamedTuple):
    """The conversation that an analysis is of."""

    location: str
    seq: int
    name: str


class AnalysisStore:
    """Reads and writes analyses; callers own the transactions."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._operations = OperationStore(database)

    def insert(self, analysis: NewAnalysis) -> int:
        """Store an analysis, make it its conversation's latest, and return its seq."""
        cursor = self._db.execute(
            "insert into analyses (conversation_seq, analysis_id, create_us, operation_id, body)"
            " values (?, ?, ?, ?, ?)",
            (
                analysis.conversation_seq,
                analysis.analysis_id,
                analysis.create_us,
                analysis.operation_id,
                analysis.body,
            ),
        )
        self._db.execute(
            "update conversations set latest_analysis_seq = ?, latest_us = ?, update_us = ?,"
            " intents = ?, phrase_matchers = ?, issues = ? where seq = ?",
            (
                cursor.lastrowid,
                analysis.create_us,
                analysis.create_us,
                _json(analysis.matches.intents),
                _json(analysis.matches.phrase_matchers),
                orjson.dumps(list(analysis.matches.issues)).decode(),
                analysis.conversation_seq,
            ),
        )
        return int(cursor.lastrowid or 0)

    def find(self, conversation_seq: int, analysis_id: str) -> StoredAnalysis | None:
        """Return the analysis, or None."""
        row = self._db.execute(
            "select seq, analysis_id, create_us, body from analyses"
            " where conversation_seq = ? and analysis_id = ?",
            (conversation_seq, analysis_id),
        ).fetchone()
        return None if row is None else StoredAnalysis(*row)

    def page(
        self, conversation_seq: int, limit: int, after: tuple[int, int] | None
    ) -> list[StoredAnalysis]:
        """Return analyses newest first (assumed), from behind `after` (create_us, seq)."""
        bound, parameters = "", tuple[int, ...]((conversation_seq,))
        if after is not None:
            bound, parameters = " and (create_us, seq) < (?, ?)", (conversation_seq, *after)
        rows = self._db.execute(
            "select seq, analysis_id, create_us, body from analyses"
            f" where conversation_seq = ?{bound} order by create_us desc, seq desc limit ?",
            (*parameters, limit),
        )
        return [StoredAnalysis(*row) for row in rows]

    def made_by(self, operation_id: str) -> set[int]:
        """Return the conversations that this operation has analysed.

        Asked only when bulk work is taken up again, so no index is kept for it.
        """
        rows = self._db.execute(
            "select conversation_seq from analyses where operation_id = ?", (operation_id,)
        )
        return {int(row[0]) for row in rows}

    def delete(self, conversation_seq: int, analysis: StoredAnalysis, matches: Matches) -> None:
        """Forget one analysis; the newest that is left becomes the latest."""
        self._operations.keep_analyses("a.seq = ?", analysis.seq)
        self._db.execute("delete from analyses where seq = ?", (analysis.seq,))
        newest = self.page(conversation_seq, 1, None)
        seq, moment = (newest[0].seq, newest[0].create_us) if newest else (None, 0)
        self._db.execute(
            "update conversations set latest_analysis_seq = ?, latest_us = ?, intents = ?,"
            " phrase_matchers = ?, issues = ? where seq = ?",
            (
                seq,
                moment,
                _json(matches.intents),
                _json(matches.phrase_matchers),
                orjson.dumps(list(matches.issues)).decode(),
                conversation_seq,
            ),
        )


def _json(counts: Mapping[str, int]) -> str:
    return orjson.dumps(dict(counts)).decode()


_DEFAULT_PAGE = 100
_LARGEST_REPLY = 1000
_CHUNK = 4
"""Analyses of a bulk operation between two chances for other calls."""
_CreateRequest = protos.message_class("CreateAnalysisRequest")
_CreateMetadata = protos.message_class("CreateAnalysisOperationMetadata")
_BulkRequest = protos.message_class("BulkAnalyzeConversationsRequest")
_BulkMetadata = protos.message_class("BulkAnalyzeConversationsMetadata")
_BulkResponse = protos.message_class("BulkAnalyzeConversationsResponse")
_ListAnalysesResponse = protos.message_class("ListAnalysesResponse")
_SUMMARY_MODELS = {1: "BASELINE_MODEL", 2: "BASELINE_MODEL_V2_0"}


class AnalysisMethods:
    """The methods, by their RPC names in snake case."""

    def __init__(
        self,
        context: Context,
        conversations: ConversationMethods,
        operations: OperationEngine,
        annotators: Annotators,
        matchers: MatcherStore,
        rubric: Rubric,
    ) -> None:
        self._context = context
        self._store = AnalysisStore(context.database)
        self._conversation_store = ConversationStore(context.database)
        self._phrase_matchers = matchers
        self._scorecards = ScorecardResults(context, rubric)
        self._issues = IssueResults(context)
        self._conversations = conversations
        self._operations = operations
        self._annotators = annotators
        self._here = LocalAnnotators()
        self._active: dict[tuple[int, tuple[int, int]], list[tuple[str, bytes]]] = {}
        operations.register(
            Kind("CreateAnalysis", _CreateRequest, _CreateMetadata, self._annotate, self._create)
        )
        operations.register(
            Kind("BulkAnalyzeConversations", _BulkRequest, _BulkMetadata, in_background=self._bulk)
        )

    async def create_analysis(self, request: protos.Pb) -> protos.Pb:
        """Start an analysis; each call makes another one."""
        parent, conversation_id = self._context.names.child(
            request.parent, "conversations", "parent"
        )
        self._seq(parent, conversation_id)
        check_selector(self._context.names, request.analysis.annotator_selector)
        self._scorecards.check(request.analysis.annotator_selector)
        metadata = _CreateMetadata(
            conversation=f"{parent}/conversations/{conversation_id}",
            annotator_selector=effective_selector(request.analysis),
        )
        return await self._operations.start(
            "CreateAnalysis", parent, request, metadata, conversation_id
        )

    async def get_analysis(self, request: protos.Pb) -> bytes:
        """Return an analysis."""
        return self._find(request.name)[1].body

    async def list_analyses(self, request: protos.Pb) -> protos.Pb:
        """Return a page of a conversation's analyses, newest first (assumed)."""
        stored = self._conversations.find(request.parent, "parent")
        query = (stored.seq, request.filter, "analyses")
        position = decode_token(query, request.page_token, 2)
        if request.filter:
            raise invalid(f"Invalid filter '{request.filter}': no field of an analysis is known.")
        limit = page_size(request.page_size, _DEFAULT_PAGE, _LARGEST_REPLY)
        after = None if position is None else (position[0], position[1])
        found = self._store.page(stored.seq, limit + 1, after)
        reply = _ListAnalysesResponse()
        reply.analyses.extend(protos.Analysis.FromString(each.body) for each in found[:limit])
        if len(found) > limit:
            last = found[limit - 1]
            reply.next_page_token = encode_token(query, (last.create_us, last.seq))
        return reply

    async def delete_analysis(self, request: protos.Pb) -> protos.Pb:
        """Forget an analysis; the newest that is left becomes the latest (assumed)."""
        conversation, analysis = self._find(request.name)
        with self._context.database.transaction():
            left = self._store.page(conversation.seq, 2, None)
            newest = next((each for each in left if each.seq != analysis.seq), None)
            matches = _matches(protos.Analysis.FromString(newest.body if newest else b""))
            self._store.delete(conversation.seq, analysis, matches)
            self._conversation_store.touch(conversation.seq, self._context.clock.now())
        return protos.Empty()

    async def bulk_analyze_conversations(self, request: protos.Pb) -> protos.Pb:
        """Start the analysis of a share of the conversations that match."""
        parent = self._context.names.location(request.parent)
        if not 0 <= request.analysis_percentage <= 100:
            raise invalid("Invalid analysis_percentage: use 0 to 100.")
        check_selector(self._context.names, request.annotator_selector)
        self._scorecards.check(request.annotator_selector)
        condition = compile_filter(request.filter, CONVERSATION_FIELDS)
        self._operations.check_bulk(parent, "BulkAnalyzeConversations")
        seqs = self._targets(parent, condition, request.analysis_percentage)
        metadata = _BulkMetadata(request=request, total_requested_analyses_count=len(seqs))
        return await self._operations.start("BulkAnalyzeConversations", parent, request, metadata)

    def analyse(
        self, conversation_seq: int, name: str, selector: protos.Pb, operation: Running
    ) -> int:
        """Make one analysis and return its seq; the transaction is the caller's."""
        found = operation.prepared
        if not isinstance(found, Findings):
            found = self._here.annotate(
                self._job(conversation_seq, name, selector, operation.parent)
            )
        analysis_id = self._context.ids.resource()
        now = self._context.clock.now()
        analysis = protos.Analysis(
            name=f"{name}/analyses/{analysis_id}",
            request_time=protos.timestamp(operation.create_us),
            create_time=protos.timestamp(now),
            annotator_selector=selector,
        )
        target = _Target(operation.parent, conversation_seq, name)
        further, issues = self._by_models(target, selector, found.result)
        result = wire.field(protos.Analysis, "analysis_result", found.result + further)
        seq = self._store.insert(
            NewAnalysis(
                conversation_seq,
                analysis_id,
                now,
                operation.operation_id,
                bytes(analysis.SerializeToString()) + result,
                Matches(found.intents, found.phrase_matchers, issues),
            )
        )
        self._context.notifications.add(operation.parent, CREATE_ANALYSIS, analysis.name)
        if selector.run_summarization_annotator:
            turns = read_turns(self._conversation_store.transcript(conversation_seq))
            sections = summarize(turns)
            self._conversation_store.set_summary(
                conversation_seq, _summary(sections, selector, now)
            )
        return seq

    def _by_models(
        self, target: _Target, selector: protos.Pb, found: bytes
    ) -> tuple[bytes, Sequence[str]]:
        """Return what topic model and scorecards add to a serialized AnalysisResult, and the topics
        to keep."""
        model = self._issues.model(target.location, selector)
        revisions = self._scorecards.revisions(target.location, selector)
        if model is None and not revisions:
            return b"", ()
        turns = read_turns(self._conversation_store.transcript(target.seq))
        part, labels = (b"", ()) if model is None else self._issues.found(model, turns)
        if revisions:
            part += self._scored(target, revisions, found, turns)
        return wire.field(protos.AnalysisResult, "call_analysis_metadata", part), labels

    def _scored(
        self, target: _Target, revisions: list[protos.Pb], found: bytes, turns: list[Turn]
    ) -> bytes:
        """Return the scorecards' results as a part of a serialized CallAnalysisMetadata."""
        (stored,) = self._conversation_store.read([target.seq])
        agent_id = protos.Conversation.FromString(stored.body).agent_id
        result = protos.AnalysisResult.FromString(found).call_analysis_metadata
        matchers = {each.display_name for each in result.phrase_matchers.values()}
        sentiment = next((each.sentiment_data.score for each in result.sentiments), None)
        results = self._scorecards.results(
            ScoredConversation(target.location, target.seq, target.name, agent_id),
            revisions,
            Call(turns, frozenset(matchers), sentiment),
        )
        return bytes(protos.CallMetadata(qa_scorecard_results=results).SerializeToString())

    async def _annotate(self, running: Running) -> Findings:
        """Let the annotators work while other calls go on."""
        name = f"{running.parent}/conversations/{running.conversation_id}"
        seq = self._seq(running.parent, running.conversation_id)
        selector = effective_selector(running.request.analysis)
        return await self._annotators.findings(self._job(seq, name, selector, running.parent))

    def _job(self, conversation_seq: int, name: str, selector: protos.Pb, parent: str) -> Job:
        return Job(
            name,
            self._conversation_store.transcript(conversation_seq),
            selector.SerializeToString(),
            self._matchers(parent, selector),
        )

    def _create(self, running: Running) -> Outcome:
        name = f"{running.parent}/conversations/{running.conversation_id}"
        seq = self._seq(running.parent, running.conversation_id)
        selector = effective_selector(running.request.analysis)
        return Outcome(analysis_seq=self.analyse(seq, name, selector, running))

    def _seq(self, parent: str, conversation_id: str) -> int:
        parent_id = self._context.database.parent_id(parent)
        seq = self._conversation_store.seq_of(parent_id, conversation_id)
        if seq is None:
            raise not_found(f"{parent}/conversations/{conversation_id}")
        return seq

    async def _bulk(self, running: Running) -> Outcome:
        """Analyse all targets; conversations done before a restart aren't analysed again."""
        request, metadata = running.request, running.metadata
        condition = compile_filter(request.filter, CONVERSATION_FIELDS)
        done = self._store.made_by(running.operation_id)
        if running.resumed:
            every = self._targets(running.parent, condition, 100)
            left = metadata.total_requested_analyses_count - len(done)
            targets = [seq for seq in every if seq not in done][:left]
        else:
            targets = self._targets(running.parent, condition, request.analysis_percentage)
            metadata.total_requested_analyses_count = len(targets)
        metadata.completed_analyses_count = len(done)
        selector = effective_selector(request)
        for count, seq in enumerate(targets, start=1):
            try:
                self._analyse_one(seq, selector, running)
                metadata.completed_analyses_count += 1
            except ApiError as error:
                metadata.failed_analyses_count += 1
                metadata.partial_errors.append(error.status())
            if count % _CHUNK == 0:
                await asyncio.sleep(0)
        return Outcome(
            _BulkResponse(
                successful_analysis_count=metadata.completed_analyses_count,
                failed_analysis_count=metadata.failed_analyses_count,
            )
        )

    def _analyse_one(self, seq: int, selector: protos.Pb, running: Running) -> None:
        fault = self._context.switches.faults.draw("partial", "BulkAnalyzeConversations")
        if fault is not None:
            raise fault.error()
        with self._context.database.transaction():
            stored = self._conversation_store.read([seq])
            if not stored:
                raise not_found(f"{running.parent}/conversations")
            name = f"{running.parent}/conversations/{stored[0].conversation_id}"
            self.analyse(seq, name, selector, running)

    def _targets(self, parent: str, condition: Condition, percentage: float) -> list[int]:
        """Return the oldest `percentage` of the matching conversations (which ones is assumed)."""
        parent_id = self._context.database.parent_id(parent)
        seqs = self._conversation_store.matching(parent_id, condition.sql, condition.parameters)
        return seqs[: int(len(seqs) * percentage / 100)]

    def _matchers(self, parent: str, selector: protos.Pb) -> tuple[bytes, ...]:
        """Return the active matchers, or those that the selector lists and that are active."""
        if not selector.run_phrase_matcher_annotator:
            return ()
        listed = {name.partition("@")[0].rpartition("/")[2] for name in selector.phrase_matchers}
        active = self._active_matchers(parent)
        return tuple(body for matcher_id, body in active if not listed or matcher_id in listed)

    def _active_matchers(self, parent: str) -> list[tuple[str, bytes]]:
        """Return id and message of the location's active matchers, read when one has changed."""
        parent_id = self._context.database.parent_id(parent)
        key = (parent_id, self._phrase_matchers.changes)
        if key not in self._active:
            self._active = {key: self._phrase_matchers.active(parent_id)}
        return self._active[key]

    def _find(self, name: str) -> tuple[StoredConversation, StoredAnalysis]:
        parent, conversation_id, analysis_id = self._context.names.analysis(name)
        conversation = self._conversations.find(f"{parent}/conversations/{conversation_id}")
        analysis = self._store.find(conversation.seq, analysis_id)
        if analysis is None:
            raise not_found(f"{parent}/conversations/{conversation_id}/analyses/{analysis_id}")
        return conversation, analysis


def _matches(analysis: protos.Pb) -> Matches:
    """Return how often each smart highlight and each phrase matcher was annotated."""
    result = analysis.analysis_result.call_analysis_metadata
    intents: Counter[str] = Counter()
    matchers: Counter[str] = Counter()
    for annotation in result.annotations:
        if annotation.HasField("intent_match_data"):
            unique_id = annotation.intent_match_data.intent_unique_id
            intents[result.intents[unique_id].display_name] += 1
        elif annotation.HasField("phrase_match_data"):
            name = annotation.phrase_match_data.phrase_matcher.rpartition("/")[2]
            matchers[name.partition("@")[0]] += 1
    if not result.HasField("issue_model_result"):
        return Matches(intents, matchers)
    model_id = result.issue_model_result.issue_model.rpartition("/")[2]
    issues = labels_of(model_id, [each.issue for each in result.issue_model_result.issues])
    return Matches(intents, matchers, issues)


def _summary(sections: dict[str, str], selector: protos.Pb, now: int) -> protos.Pb:
    """Return a Conversation with the summary, as latest_summary and as a runtime annotation."""
    model = selector.summarization_config.summarization_model
    text = as_text(sections) if model != 1 else sections["situation"]
    message = protos.ConversationSummary(
        text=text, confidence=1.0, conversation_model=_SUMMARY_MODELS.get(model, "")
    )
    if model != 1:
        message.text_sections.update(sections)
    carrier = protos.Conversation(latest_summary=message)
    annotation = carrier.runtime_annotations.add(
        annotation_id=str(now), create_time=protos.timestamp(now)
    )
    annotation.conversation_summarization_suggestion.CopyFrom(message)
    return carrier
