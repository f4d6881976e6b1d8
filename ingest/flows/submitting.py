"""Makes CI hold one conversation version, whatever an earlier attempt or run has left there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from ingest.domain.insights_format import CiSubmission
from ingest.domain.outcome import Outcome
from ingest.domain.submission import SubmitAction, submit_action
from ingest.errors import RemoteError
from ingest.ports import CiConversation, InsightsApi, ObjectStore


class Submitting:
    """One submission; `attempt` may be called again after any error.

    `keep_replaced` returns once a conversation that is about to be deleted is landed, and raises
    RemoteError when it can't be. `on_change` is told every other change, and of what. `may_exist`
    says that CI is asked before anything is created. `is_new` is true once this submission has
    created the conversation, so that no analysis can be in it.
    """

    def __init__(
        self,
        store: ObjectStore,
        insights: InsightsApi,
        submission: CiSubmission,
        keep_replaced: Callable[[CiConversation], Awaitable[None]],
        on_change: Callable[[str, str], None],
        *,
        may_exist: bool,
    ) -> None:
        self._store = store
        self._insights = insights
        self._submission = submission
        self._keep_replaced = keep_replaced
        self._on_change = on_change
        self._may_exist = may_exist
        self._has_transcript = False
        self.is_new = False

    async def attempt(self) -> tuple[CiConversation, Outcome]:
        """Return the conversation in the FULL view, equal to the submission."""
        if not self._has_transcript:
            await self._put_transcript()
            self._has_transcript = True
        if not self._may_exist:
            self._may_exist = True
            try:
                return await self._create()
            except RemoteError as error:
                if error.code != "ALREADY_EXISTS":
                    raise
        held = await self._insights.get_conversation(self._submission.conversation_id)
        return await self._make_equal(held)

    async def _make_equal(self, held: CiConversation | None) -> tuple[CiConversation, Outcome]:
        if held is None:
            return await self._create_where_none_was_seen()
        action = submit_action(self._submission, held.transcript_uri, held.medium, held.labels)
        if action is SubmitAction.ADOPT:
            return held, Outcome.ADOPTED
        if action is SubmitAction.UPDATE:
            await self._insights.update_conversation(self._submission)
            return await self._held_after_update(), Outcome.SUCCEEDED
        # What CI deletes nobody can fetch again: first it is kept, whatever comes afterwards.
        await self._keep_replaced(held)
        await self._insights.delete_conversation(self._submission.conversation_id)
        self._on_change("delete conversation", held.name)
        return await self._create_where_none_was_seen()

    async def _create(self) -> tuple[CiConversation, Outcome]:
        created = await self._insights.create_conversation(self._submission)
        self.is_new = True
        return created, Outcome.SUCCEEDED

    async def _create_where_none_was_seen(self) -> tuple[CiConversation, Outcome]:
        try:
            return await self._create()
        except RemoteError as error:
            if error.code != "ALREADY_EXISTS":
                raise
            raise RemoteError(
                "CI: the id is taken although CI showed no conversation of it",
                "run the same command again",
                code="ABORTED",
            ) from error

    async def _held_after_update(self) -> CiConversation:
        # The reply of an update isn't said to be the FULL view, and what is landed must be.
        held = await self._insights.get_conversation(self._submission.conversation_id)
        if held is None:
            raise RemoteError(
                "CI: the conversation was deleted by someone else meanwhile",
                "run the same command again",
                code="ABORTED",
            )
        return held

    async def _put_transcript(self) -> None:
        name = self._submission.transcript_object
        try:
            await self._store.put(
                name,
                self._submission.transcript_content,
                content_type="application/json",
                content_sha256=name.rsplit("/", 1)[-1].removesuffix(".json"),
                if_generation_match=0,
            )
            self._on_change("put transcript", name)
        except RemoteError as error:
            if error.code != "FAILED_PRECONDITION":
                raise
            # An earlier attempt or run came as far as this, and maybe further: asking is cheaper
            # than a create, whose quota is small.
            self._may_exist = True
