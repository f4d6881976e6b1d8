"""Conversational Insights, through the official async gRPC client."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import grpc
from google.api_core.operation_async import AsyncOperation
from google.cloud import contact_center_insights_v1 as insights
from google.cloud.contact_center_insights_v1.services.contact_center_insights.transports import (
    ContactCenterInsightsGrpcAsyncIOTransport,
)
from google.longrunning import operations_pb2
from google.protobuf import field_mask_pb2

from ingest.domain.annotators import Selector
from ingest.domain.insights_format import CiSubmission
from ingest.domain.matchers import MatcherDefinition
from ingest.domain.scorecards import LiveRevision
from ingest.domain.topics import LiveModel
from ingest.errors import RemoteError
from ingest.gcp import insights_messages as messages
from ingest.gcp.credentials import client_options
from ingest.gcp.errors import translated
from ingest.ports.inspect import CiAnalysisState
from ingest.ports.move import CiConversation, CiMatcher, CiOperation, Page, QuotaGate
from ingest.settings import Settings

_UPDATED_FIELDS = ("agent_id", "language_code", "labels", "quality_metadata", "start_time")
_UNLIMITED = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
]


class GrpcInsightsApi:
    """One project and location of Insights, or its emulator. No call is retried here."""

    list_page_size = 100

    def __init__(
        self,
        settings: Settings,
        admission: QuotaGate | None = None,
        client: insights.ContactCenterInsightsAsyncClient | None = None,
    ) -> None:
        """`admission` holds calls back for the quota and learns of refusals."""
        self._settings = settings
        self._timeout = settings.rpc_timeout_sec
        self._admission = admission
        self._parent = settings.home.parent
        self._client = client or insights_client(settings)

    async def close(self) -> None:
        """Close the channel."""
        await self._client.transport.close()

    async def check(self) -> None:
        """Raise RemoteError unless Insights answers."""
        request = insights.ListPhraseMatchersRequest(parent=self._parent, page_size=1)
        await self._call(self._client.list_phrase_matchers, request)

    async def create_conversation(self, submission: CiSubmission) -> CiConversation:
        """Create it; ALREADY_EXISTS when the id is taken."""
        request = insights.CreateConversationRequest(
            parent=self._parent,
            conversation_id=submission.conversation_id,
            conversation=messages.conversation(submission, self._settings.bucket),
        )
        return messages.ci_conversation(await self._call(self._client.create_conversation, request))

    async def get_conversation(self, conversation_id: str) -> CiConversation | None:
        """Return it in the FULL view, or None."""
        request = insights.GetConversationRequest(
            name=self._name(conversation_id), view=insights.ConversationView.FULL
        )
        try:
            reply = await self._call(self._client.get_conversation, request)
        except RemoteError as error:
            if error.code == "NOT_FOUND":
                return None
            raise
        return messages.ci_conversation(reply)

    async def update_conversation(self, submission: CiSubmission) -> CiConversation:
        """Make everything but the transcript equal to the submission."""
        conversation = messages.conversation(submission, self._settings.bucket)
        conversation.name = self._name(submission.conversation_id)
        # It can't change; one that differs, as of a later delivery of the same talk, is refused.
        conversation.data_source = None
        request = insights.UpdateConversationRequest(
            conversation=conversation,
            update_mask=field_mask_pb2.FieldMask(paths=_UPDATED_FIELDS),
        )
        return messages.ci_conversation(await self._call(self._client.update_conversation, request))

    async def set_labels(self, conversation_id: str, labels: Mapping[str, str]) -> None:
        """Make the labels equal to these, and change nothing else."""
        request = insights.UpdateConversationRequest(
            conversation=insights.Conversation(
                name=self._name(conversation_id), labels=dict(labels)
            ),
            update_mask=field_mask_pb2.FieldMask(paths=["labels"]),
        )
        await self._call(self._client.update_conversation, request)

    async def delete_conversation(self, conversation_id: str) -> None:
        """Delete it with its analyses; no error when it's gone."""
        request = insights.DeleteConversationRequest(name=self._name(conversation_id), force=True)
        try:
            await self._call(self._client.delete_conversation, request)
        except RemoteError as error:
            if error.code != "NOT_FOUND":
                raise

    async def list_conversations(self, filter_: str, page_token: str = "") -> Page[CiConversation]:
        """Return a page of those that the filter admits, in the FULL view."""
        request = insights.ListConversationsRequest(
            parent=self._parent,
            filter=filter_,
            page_size=self.list_page_size,
            page_token=page_token,
            view=insights.ConversationView.FULL,
        )
        pager = await self._call(self._client.list_conversations, request)
        reply = insights.ListConversationsResponse.pb(await _first_page(pager))
        found = [messages.ci_conversation_of(held) for held in reply.conversations]
        return Page(found, reply.next_page_token)

    async def list_ids(self, page_token: str = "") -> Page[str]:
        """Return a page of the ids of all conversations, the newest first."""
        request = insights.ListConversationsRequest(
            parent=self._parent,
            page_size=self.list_page_size,
            page_token=page_token,
            view=insights.ConversationView.BASIC,
        )
        pager = await self._call(self._client.list_conversations, request)
        reply = insights.ListConversationsResponse.pb(await _first_page(pager))
        ids = [held.name.rsplit("/", 1)[-1] for held in reply.conversations]
        return Page(ids, reply.next_page_token)

    async def list_analyses(self, conversation_id: str) -> Sequence[CiAnalysisState]:
        """Return every analysis of the conversation, newest first."""
        found: list[CiAnalysisState] = []
        token = ""
        while True:
            request = insights.ListAnalysesRequest(
                parent=self._name(conversation_id), page_token=token
            )
            pager = await self._call(self._client.list_analyses, request)
            page = insights.ListAnalysesResponse.pb(await _first_page(pager))
            found += [messages.ci_analysis_state(analysis) for analysis in page.analyses]
            token = page.next_page_token
            if not token:
                return sorted(found, key=lambda state: state.created_at, reverse=True)

    async def create_analysis(self, conversation_id: str, selector: Selector) -> CiOperation:
        """Start an analysis. Not idempotent, and billed."""
        request = insights.CreateAnalysisRequest(
            parent=self._name(conversation_id),
            analysis=insights.Analysis(
                annotator_selector=messages.annotator_selector(selector, self._parent)
            ),
        )
        reply = await self._call(self._client.create_analysis, request)
        return await started(reply)

    async def running_analysis(self, conversation_id: str) -> CiOperation | None:
        """Return the operation that analyses the conversation now, or None."""
        return await self._running(
            f'metadata.operation_type="CreateAnalysis" metadata.conversation_id="{conversation_id}"'
        )

    async def running_bulk_analysis(self) -> CiOperation | None:
        """Return the bulk analysis that runs in the location now, or None."""
        return await self._running('metadata.operation_type="BulkAnalyzeConversations"')

    async def _running(self, filter_: str) -> CiOperation | None:
        request = operations_pb2.ListOperationsRequest(
            name=self._parent, filter=f'{filter_} done="false"', page_size=1
        )
        reply = await self._call(self._client.list_operations, request)
        for operation in reply.operations:
            return messages.ci_operation(operation)
        return None

    async def bulk_analyze(self, filter_: str, selector: Selector) -> CiOperation:
        """Start an analysis of all that the filter admits."""
        request = insights.BulkAnalyzeConversationsRequest(
            parent=self._parent,
            filter=filter_,
            analysis_percentage=100,
            annotator_selector=messages.annotator_selector(selector, self._parent),
        )
        reply = await self._call(self._client.bulk_analyze_conversations, request)
        return await started(reply)

    async def get_operation(self, name: str) -> CiOperation:
        """Return the operation's state."""
        request = operations_pb2.GetOperationRequest(name=name)
        return messages.ci_operation(await self._call(self._client.get_operation, request))

    async def list_matchers(self) -> Sequence[CiMatcher]:
        """Return all phrase matchers of the location."""
        request = insights.ListPhraseMatchersRequest(parent=self._parent)
        found = await self._all(self._client.list_phrase_matchers, request, "phrase_matchers")
        return [messages.ci_matcher(matcher) for matcher in found]

    async def list_scorecard_revisions(self) -> Sequence[LiveRevision]:
        """Return all revisions of all scorecards."""
        request = insights.ListQaScorecardRevisionsRequest(parent=f"{self._parent}/qaScorecards/-")
        method = self._client.list_qa_scorecard_revisions
        found = await self._all(method, request, "qa_scorecard_revisions")
        return [messages.scorecard_revision(each) for each in found]

    async def list_models(self) -> Sequence[LiveModel]:
        """Return all topic models, without their topics."""
        request = insights.ListIssueModelsRequest(parent=self._parent)
        reply = await self._call(self._client.list_issue_models, request)
        return [messages.topic_model(each) for each in reply.issue_models]

    async def create_matcher(self, definition: MatcherDefinition, version_tag: str) -> CiMatcher:
        """Create one; Insights makes the id."""
        request = insights.CreatePhraseMatcherRequest(
            parent=self._parent, phrase_matcher=messages.phrase_matcher(definition, version_tag)
        )
        return messages.ci_matcher(await self._call(self._client.create_phrase_matcher, request))

    async def update_matcher(
        self, name: str, definition: MatcherDefinition, version_tag: str
    ) -> CiMatcher:
        """Make it equal to the definition; any change but activation makes a revision."""
        matcher = messages.phrase_matcher(definition, version_tag)
        matcher.name = name
        request = insights.UpdatePhraseMatcherRequest(
            phrase_matcher=matcher,
            update_mask=field_mask_pb2.FieldMask(paths=messages.MATCHER_FIELDS),
        )
        return messages.ci_matcher(await self._call(self._client.update_phrase_matcher, request))

    async def delete_matcher(self, name: str) -> None:
        """Delete it."""
        request = insights.DeletePhraseMatcherRequest(name=name)
        await self._call(self._client.delete_phrase_matcher, request)

    def _name(self, conversation_id: str) -> str:
        return f"{self._parent}/conversations/{conversation_id}"

    async def _all(self, method: Callable[..., Any], request: Any, items: str) -> Sequence[Any]:
        """Return the messages of all pages of a listing, in the field of that name."""
        found: list[Any] = []
        request.page_size = self.list_page_size
        while True:
            page = await _first_page(await self._call(method, request))
            found += getattr(page, items)
            if not page.next_page_token:
                return found
            request.page_token = page.next_page_token

    async def _call(self, method: Callable[..., Any], request: Any) -> Any:
        if self._admission is not None:
            await self._admission.admit(method.__name__)
        try:
            with translated("Insights"):
                return await method(request, timeout=self._timeout, retry=None)
        except RemoteError as error:
            if self._admission is not None and error.code == "RESOURCE_EXHAUSTED":
                self._admission.exhausted(method.__name__, error.retry_after_sec)
            raise


class GrpcInsightsSettings:
    """The settings object of the project's location, or of the emulator. No call is retried."""

    def __init__(self, settings: Settings) -> None:
        self._timeout = settings.rpc_timeout_sec
        self._name = f"{settings.home.parent}/settings"
        self._client = insights_client(settings)

    async def close(self) -> None:
        """Close the channel."""
        await self._client.transport.close()

    async def get_settings(self) -> Mapping[str, Any]:
        """Return them as REST JSON."""
        request = insights.GetSettingsRequest(name=self._name)
        with translated("Insights"):
            reply = await self._client.get_settings(request, timeout=self._timeout, retry=None)
        return messages.rest_json(insights.Settings.pb(reply))

    async def update_settings(self, rest: Mapping[str, Any], fields: Sequence[str]) -> None:
        """Set these fields to what the REST JSON says; one that it doesn't name is cleared."""
        settings = insights.Settings.from_json(json.dumps({**rest, "name": self._name}))
        request = insights.UpdateSettingsRequest(
            settings=settings, update_mask=field_mask_pb2.FieldMask(paths=list(fields))
        )
        with translated("Insights"):
            await self._client.update_settings(request, timeout=self._timeout, retry=None)


async def _first_page(pager: Any) -> Any:
    """Return the response that a pager begins with; those after it aren't asked for."""
    async with contextlib.aclosing(pager.pages) as pages:
        return await anext(pages)


async def started(reply: AsyncOperation) -> CiOperation:
    """Return the operation's state; how it ended is told by that, also where it failed at once."""
    if reply.operation.done:
        # A future whose error nobody asks for is reported on stderr when it goes.
        await reply.exception()
    return messages.ci_operation(reply.operation)


def insights_client(settings: Settings) -> insights.ContactCenterInsightsAsyncClient:
    """Return a client of the location's endpoint, or of the emulator's."""
    if settings.insights_endpoint is not None:
        channel = grpc.aio.insecure_channel(settings.insights_endpoint, options=_UNLIMITED)
        transport = ContactCenterInsightsGrpcAsyncIOTransport(channel=channel)
        return insights.ContactCenterInsightsAsyncClient(transport=transport)
    location = settings.home.location
    prefix = "" if location == "us-central1" else f"{location}-"
    with translated("Insights"):
        endpoint = f"{prefix}contactcenterinsights.{settings.universe_domain}"
        return insights.ContactCenterInsightsAsyncClient(
            client_options=client_options(settings, endpoint)
        )
