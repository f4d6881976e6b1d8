"""Create, get, list and delete analyses; analyse many conversations at once."""

from __future__ import annotations

import asyncio
from collections import Counter

from ingest.emulator import paging, protos, wire
from ingest.emulator.analysis import summary
from ingest.emulator.analysis.annotate import Findings, effective_selector
from ingest.emulator.analysis.turns import read_turns
from ingest.emulator.annotator_process import Annotators, Job, LocalAnnotators
from ingest.emulator.conversations import ConversationMethods
from ingest.emulator.core import Core
from ingest.emulator.filter_fields import CONVERSATION_FIELDS
from ingest.emulator.filters import Condition, compile_filter
from ingest.emulator.names import check_selector
from ingest.emulator.operation_kinds import Kind, Outcome, Running
from ingest.emulator.operations import OperationEngine
from ingest.emulator.problems import ApiError, invalid, not_found
from ingest.emulator.store.analyses import Matches, NewAnalysis, StoredAnalysis
from ingest.emulator.store.conversations import StoredConversation

_DEFAULT_PAGE = 100
_LARGEST_REPLY = 1000
_CHUNK = 4
"""Analyses of a bulk operation between two chances for other calls."""
_CreateRequest = protos.message_class("CreateAnalysisRequest")
_CreateMetadata = protos.message_class("CreateAnalysisOperationMetadata")
_BulkRequest = protos.message_class("BulkAnalyzeConversationsRequest")
_BulkMetadata = protos.message_class("BulkAnalyzeConversationsMetadata")
_BulkResponse = protos.message_class("BulkAnalyzeConversationsResponse")
_ListResponse = protos.message_class("ListAnalysesResponse")
_SUMMARY_MODELS = {1: "BASELINE_MODEL", 2: "BASELINE_MODEL_V2_0"}


class AnalysisMethods:
    """The methods, by their RPC names in snake case."""

    def __init__(
        self,
        core: Core,
        conversations: ConversationMethods,
        operations: OperationEngine,
        annotators: Annotators,
    ) -> None:
        self._core = core
        self._conversations = conversations
        self._operations = operations
        self._annotators = annotators
        self._here = LocalAnnotators()
        self._active: dict[tuple[int, int], list[tuple[str, bytes]]] = {}
        operations.register(
            Kind("CreateAnalysis", _CreateRequest, _CreateMetadata, self._annotate, self._create)
        )
        operations.register(
            Kind("BulkAnalyzeConversations", _BulkRequest, _BulkMetadata, in_background=self._bulk)
        )

    async def create_analysis(self, request: protos.Pb) -> protos.Pb:
        """Start an analysis; each call makes another one."""
        parent, conversation_id = self._core.names.child(request.parent, "conversations", "parent")
        self._seq(parent, conversation_id)
        check_selector(self._core.names, request.analysis.annotator_selector)
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
        position = paging.decode_token(query, request.page_token, 2)
        if request.filter:
            raise invalid(f"Invalid filter '{request.filter}': no field of an analysis is known.")
        limit = paging.page_size(request.page_size, _DEFAULT_PAGE, _LARGEST_REPLY)
        after = None if position is None else (position[0], position[1])
        found = self._core.analyses.page(stored.seq, limit + 1, after)
        reply = _ListResponse()
        reply.analyses.extend(protos.Analysis.FromString(each.body) for each in found[:limit])
        if len(found) > limit:
            last = found[limit - 1]
            reply.next_page_token = paging.encode_token(query, (last.create_us, last.seq))
        return reply

    async def delete_analysis(self, request: protos.Pb) -> protos.Pb:
        """Forget an analysis; the newest that is left becomes the latest (assumed)."""
        conversation, analysis = self._find(request.name)
        with self._core.database.transaction():
            left = self._core.analyses.page(conversation.seq, 2, None)
            newest = next((each for each in left if each.seq != analysis.seq), None)
            matches = _matches(protos.Analysis.FromString(newest.body if newest else b""))
            self._core.analyses.delete(conversation.seq, analysis, matches)
            self._core.conversations.touch(conversation.seq, self._core.clock.now())
        return protos.Empty()

    async def bulk_analyze_conversations(self, request: protos.Pb) -> protos.Pb:
        """Start the analysis of a share of the conversations that match."""
        parent = self._core.names.location(request.parent)
        if not 0 <= request.analysis_percentage <= 100:
            raise invalid("Invalid analysis_percentage: use 0 to 100.")
        check_selector(self._core.names, request.annotator_selector)
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
        analysis_id = self._core.ids.resource()
        now = self._core.clock.now()
        analysis = protos.Analysis(
            name=f"{name}/analyses/{analysis_id}",
            request_time=protos.timestamp(operation.create_us),
            create_time=protos.timestamp(now),
            annotator_selector=selector,
        )
        result = wire.field(protos.Analysis, "analysis_result", found.result)
        seq = self._core.analyses.insert(
            NewAnalysis(
                conversation_seq,
                analysis_id,
                now,
                operation.operation_id,
                bytes(analysis.SerializeToString()) + result,
                Matches(found.intents, found.phrase_matchers),
            )
        )
        if selector.run_summarization_annotator:
            turns = read_turns(self._core.conversations.transcript(conversation_seq))
            sections = summary.summarize(turns)
            self._core.conversations.set_summary(
                conversation_seq, _summary(sections, selector, now)
            )
        return seq

    async def _annotate(self, running: Running) -> Findings:
        """Let the annotators work while other calls go on."""
        name = f"{running.parent}/conversations/{running.conversation_id}"
        seq = self._seq(running.parent, running.conversation_id)
        selector = effective_selector(running.request.analysis)
        return await self._annotators.findings(self._job(seq, name, selector, running.parent))

    def _job(self, conversation_seq: int, name: str, selector: protos.Pb, parent: str) -> Job:
        return Job(
            name,
            self._core.conversations.transcript(conversation_seq),
            selector.SerializeToString(),
            self._matchers(parent, selector),
        )

    def _create(self, running: Running) -> Outcome:
        name = f"{running.parent}/conversations/{running.conversation_id}"
        seq = self._seq(running.parent, running.conversation_id)
        selector = effective_selector(running.request.analysis)
        return Outcome(analysis_seq=self.analyse(seq, name, selector, running))

    def _seq(self, parent: str, conversation_id: str) -> int:
        parent_id = self._core.database.parent_id(parent)
        seq = self._core.conversations.seq_of(parent_id, conversation_id)
        if seq is None:
            raise not_found(f"{parent}/conversations/{conversation_id}")
        return seq

    async def _bulk(self, running: Running) -> Outcome:
        """Analyse all targets; conversations done before a restart aren't analysed again."""
        request, metadata = running.request, running.metadata
        condition = compile_filter(request.filter, CONVERSATION_FIELDS)
        done = self._core.analyses.made_by(running.operation_id)
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
        fault = self._core.switches.faults.draw("partial", "BulkAnalyzeConversations")
        if fault is not None:
            raise fault.error()
        with self._core.database.transaction():
            stored = self._core.conversations.read([seq])
            if not stored:
                raise not_found(f"{running.parent}/conversations")
            name = f"{running.parent}/conversations/{stored[0].conversation_id}"
            self.analyse(seq, name, selector, running)

    def _targets(self, parent: str, condition: Condition, percentage: float) -> list[int]:
        """Return the oldest `percentage` of the matching conversations (which ones is assumed)."""
        parent_id = self._core.database.parent_id(parent)
        seqs = self._core.conversations.matching(parent_id, condition.sql, condition.parameters)
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
        parent_id = self._core.database.parent_id(parent)
        key = (parent_id, self._core.matchers.changes)
        if key not in self._active:
            self._active = {key: self._core.matchers.active(parent_id)}
        return self._active[key]

    def _find(self, name: str) -> tuple[StoredConversation, StoredAnalysis]:
        parent, conversation_id, analysis_id = self._core.names.analysis(name)
        conversation = self._conversations.find(f"{parent}/conversations/{conversation_id}")
        analysis = self._core.analyses.find(conversation.seq, analysis_id)
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
    return Matches(intents, matchers)


def _summary(sections: dict[str, str], selector: protos.Pb, now: int) -> protos.Pb:
    """Return a Conversation with the summary, as latest_summary and as a runtime annotation."""
    model = selector.summarization_config.summarization_model
    text = summary.as_text(sections) if model != 1 else sections["situation"]
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
