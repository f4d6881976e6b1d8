"""What the bucket and CI hold about one conversation, for flows that only look.

The adapters of `ingest.ports` have these methods too; they are apart because a flow that moves
conversations has no use for them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from ingest.ports import CiConversation, CiMatcher, CiOperation, Page, StoredObject


@dataclass(frozen=True)
class ObjectGeneration:
    """One generation of an object; a noncurrent one was overwritten or deleted."""

    stored: StoredObject
    written_at: dt.datetime
    is_live: bool


@dataclass(frozen=True)
class CiAnalysisState:
    """One finished analysis; `payload` is its REST JSON, whole."""

    name: str
    created_at: dt.datetime
    payload: Mapping[str, Any] = field(repr=False)


class Bucket(Protocol):
    """One bucket, to look at."""

    @property
    def bucket(self) -> str:
        """Name of the bucket."""

    async def generations(self, prefix: str) -> Sequence[ObjectGeneration]:
        """Return every generation under the prefix, live and noncurrent, by name and age."""

    async def folders(self, prefix: str) -> Sequence[str]:
        """Return the names that follow the prefix up to a slash, slash included."""

    async def list(
        self, prefix: str, start: str = "", end: str = "", page_token: str = ""
    ) -> Page[StoredObject]:
        """Return a page of the live objects under the prefix with start <= name < end, by name."""


class CiReader(Protocol):
    """CI in one project and location, to look at."""

    async def get_conversation(self, conversation_id: str) -> CiConversation | None:
        """Return it in the FULL view, or None."""

    async def list_ids(self, page_token: str = "") -> Page[str]:
        """Return a page of the ids of all conversations, the newest first."""

    async def list_analyses(self, conversation_id: str) -> Sequence[CiAnalysisState]:
        """Return every analysis of the conversation, newest first."""

    async def running_analysis(self, conversation_id: str) -> CiOperation | None:
        """Return the operation that analyses the conversation now, or None."""

    async def list_matchers(self) -> Sequence[CiMatcher]:
        """Return all phrase matchers of the location."""
