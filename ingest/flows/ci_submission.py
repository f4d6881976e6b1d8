"""Makes Insights hold one version of a conversation: its transcript in the bucket, its labels.

Ours is what carries our hash label. A conversation of the same id that others made is left alone,
and fails the item, unless the push was asked to adopt or to replace it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from ingest.domain.insights_format import (
    CiSubmission,
    SubmitAction,
    carries_our_label,
    submit_action,
    word_difference,
)
from ingest.domain.outcome import Outcome
from ingest.enums import Foreign
from ingest.errors import InputError, RemoteError
from ingest.flows.attempts import Attempts
from ingest.flows.steps import Done, log_change
from ingest.ports.move import CiConversation, InsightsApi, ObjectStore

FOREIGN_CODE = "FOREIGN_CONVERSATION"


def foreign_error(payload: Mapping[str, Any], cure: str) -> RemoteError:
    """Return the error of a push that meets a conversation of others, given as REST JSON."""
    return RemoteError(
        f"{foreign_sentence(payload)}; {cure}, --replace keeps its analyses in the raw table, "
        "deletes it and makes it anew",
        code=FOREIGN_CODE,
    )


async def refuse_foreign(insights: InsightsApi, attempts: Attempts, conversation_id: str) -> None:
    """Raise InputError when Insights holds a conversation of this id that others made."""
    held = (await attempts.run(lambda: insights.get_conversation(conversation_id))).value
    if held is not None and not carries_our_label(held.labels):
        raise InputError(
            foreign_sentence(held.payload), "add --include-foreign if it is to be erased too"
        )


def foreign_sentence(payload: Mapping[str, Any]) -> str:
    """Say that others made a conversation, given as REST JSON: when, and from which folder.

    File names and values of labels stay out, since both may hold personal data.
    """
    source = payload.get("dataSource", {}).get("gcsSource", {})
    uri = source.get("transcriptUri") or source.get("audioUri") or ""
    place = f" from {uri.rpartition('/')[0]}/" if uri else ""
    made_at = f" on {payload['createTime'][:16]}Z" if "createTime" in payload else ""
    labels = ", ".join(sorted(payload.get("labels", {})))[:100]
    return (
        "Insights holds a conversation of this id that this pipeline did not make: made"
        f"{made_at}{place}{f', with labels {labels}' if labels else ', without labels'}"
    )


class Submitting:
    """One submission; `attempt` may be called again after any error.

    `keep_replaced` returns once a conversation that is about to be deleted is landed, and raises
    RemoteError when it can't be. With `may_exist` Insights is asked before anything is created.
    `foreign` says what becomes of a conversation that others made.
    `is_adoption_told` says that finding the conversation in place is worth an event. `is_new` is
    true once this submission has created the conversation, so that no analysis can be in it.
    """

    def __init__(
        self,
        store: ObjectStore,
        insights: InsightsApi,
        submission: CiSubmission,
        keep_replaced: Callable[[CiConversation], Awaitable[None]],
        run_id: str,
        *,
        may_exist: bool,
        is_adoption_told: bool = True,
        foreign: Foreign = Foreign.REFUSE,
    ) -> None:
        self._store = store
        self._insights = insights
        self._submission = submission
        self._keep_replaced = keep_replaced
        self._run_id = run_id
        self._foreign = foreign
        self._may_exist = may_exist
        self._adopted = Outcome.ADOPTED if is_adoption_told else None
        self._has_transcript = False
        self._kept: Mapping[str, Any] | None = None
        self.is_new = False

    async def attempt(self) -> Done[CiConversation]:
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

    async def _make_equal(self, held: CiConversation | None) -> Done[CiConversation]:
        if held is None:
            return await self._create_where_none_was_seen()
        action = submit_action(self._submission, held.transcript_uri, held.medium, held.labels)
        if action is SubmitAction.ADOPT:
            return held, self._adopted, held.name
        if action is SubmitAction.FOREIGN and self._foreign is not Foreign.REPLACE:
            self._check_adoption(held)
            action = SubmitAction.LABEL
        if action is SubmitAction.LABEL:
            labels = {**held.labels, **self._submission.labels}
            await self._insights.set_labels(held.conversation_id, labels)
            return await self._held_after_update(), Outcome.SUCCEEDED, held.name
        if action is SubmitAction.UPDATE:
            await self._insights.update_conversation(self._submission)
            return await self._held_after_update(), Outcome.SUCCEEDED, held.name
        # What Insights deletes nobody can fetch again: first it is kept, whatever comes afterwards,
        # and once however often the deletion is tried.
        if held.payload != self._kept:
            await self._keep_replaced(held)
            self._kept = held.payload
        await self._insights.delete_conversation(self._submission.conversation_id)
        self._log("delete conversation", held.name)
        return await self._create_where_none_was_seen()

    def _check_adoption(self, held: CiConversation) -> None:
        """Raise RemoteError FOREIGN_CONVERSATION unless it may be adopted, and is what we have."""
        payload = held.payload
        if self._foreign is Foreign.REFUSE:
            raise foreign_error(payload, "--adopt keeps it if its words equal the transcript's")
        difference = word_difference(self._submission.transcript_content, payload)
        if difference is not None:
            raise foreign_error(payload, f"--adopt refused it: it differs in {difference}")

    async def _create(self) -> Done[CiConversation]:
        created = await self._insights.create_conversation(self._submission)
        self.is_new = True
        return created, Outcome.SUCCEEDED, created.name

    async def _create_where_none_was_seen(self) -> Done[CiConversation]:
        try:
            return await self._create()
        except RemoteError as error:
            if error.code != "ALREADY_EXISTS":
                raise
            raise RemoteError(
                "Insights: the id is taken although Insights showed no conversation of it",
                "run the same command again",
                code="ABORTED",
            ) from error

    async def _held_after_update(self) -> CiConversation:
        # The reply of an update isn't said to be the FULL view, and what is landed must be.
        held = await self._insights.get_conversation(self._submission.conversation_id)
        if held is None:
            raise RemoteError(
                "Insights: the conversation was deleted by someone else meanwhile",
                "run the same command again",
                code="ABORTED",
            )
        return held

    def _log(self, action: str, resource: str) -> None:
        log_change(
            action,
            self._run_id,
            conversation_id=self._submission.conversation_id,
            resource=resource,
        )

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
            self._log("put transcript", name)
        except RemoteError as error:
            if error.code != "FAILED_PRECONDITION":
                raise
            # An earlier attempt or run came as far as this, and maybe further: asking is cheaper
            # than a create, whose quota is small.
            self._may_exist = True
