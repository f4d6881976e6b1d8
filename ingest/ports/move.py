"""What flows need from the outside: objects, Insights, raw tables, time.

Adapters in `ingest.gcp` implement these; every method raises `ingest.errors.RemoteError` with a
gRPC status name in `code`, whatever the transport was. Retries belong to the caller
(`ingest.flows.attempts`), since only it knows whether a step may be repeated.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from ingest.domain.annotators import AppliedMatcher, Selector
from ingest.domain.insights_format import CiSubmission
from ingest.domain.matchers import MatcherDefinition
from ingest.domain.scorecards import LiveRevision
from ingest.domain.topics import LiveModel


class Clock(Protocol):
    """Time, passed in."""

    def now(self) -> dt.datetime:
        """Return the time, UTC."""

    def monotonic(self) -> float:
        """Return seconds that never go back."""

    async def sleep(self, seconds: float) -> None:
        """Return after that many seconds."""


class QuotaGate(Protocol):
    """Holds calls back for a quota."""

    async def admit(self, method: str) -> None:
        """Return when a call of that client method may go."""

    def exhausted(self, method: str, retry_after_sec: float) -> None:
        """The service refused a call of that method for quota."""


@dataclass(frozen=True)
class Page[Item]:
    """A part of a listing; `next_token` asks for the part after it, "" when there is none."""

    items: Sequence[Item]
    next_token: str = ""


@dataclass(frozen=True)
class StoredObject:
    """One object as the bucket holds it."""

    name: str
    generation: int
    crc32c: str
    size_bytes: int
    content_sha256: str | None
    updated_at: dt.datetime | None = field(default=None, compare=False)
    """By the bucket's own clock, UTC."""


class ObjectStore(Protocol):
    """One bucket."""

    @property
    def bucket(self) -> str:
        """Name of the bucket."""

    async def put(
        self,
        name: str,
        content: bytes,
        *,
        content_type: str,
        content_sha256: str,
        if_generation_match: int,
    ) -> StoredObject:
        """Write the object if its generation still is the one given (0: if it doesn't exist).

        Raises RemoteError FAILED_PRECONDITION when it isn't, DATA_LOSS when the bucket's CRC32C
        differs from that of the bytes sent.
        """

    async def stat(self, name: str) -> StoredObject | None:
        """Return the live object, or None."""

    async def read(self, name: str) -> bytes:
        """Return the live object's bytes."""

    async def list(
        self, prefix: str, start: str = "", end: str = "", page_token: str = ""
    ) -> Page[StoredObject]:
        """Return a page of the live objects under the prefix with start <= name < end, by name."""

    async def delete(self, name: str, generation: int) -> None:
        """Delete that generation for good (versioning keeps no copy); no error when it's gone."""

    async def folders(self, prefix: str, *, with_old: bool = False) -> Sequence[str]:
        """Return the names that follow the prefix up to a slash, slash included.

        Those with nothing but old generations count `with_old` alone.
        """

    async def count_generations(self, prefix: str) -> int:
        """Return how many generations, live and old, lie under the prefix."""

    async def delete_all_generations(self, prefix: str) -> int:
        """Delete every generation of every object under the prefix; return how many."""


@dataclass(frozen=True)
class CiAnalysis:
    """One finished analysis."""

    name: str
    requested_at: dt.datetime
    selector: Selector


@dataclass(frozen=True)
class CiAnalysisState:
    """One finished analysis; `payload` is its REST JSON, whole."""

    name: str
    created_at: dt.datetime
    payload: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True)
class CiConversation:
    """A conversation as Insights holds it.

    `read_payload()` gives its REST JSON, whole; that costs more than the call that fetched it, so
    it's made only where it is landed.
    """

    name: str
    conversation_id: str
    transcript_uri: str
    medium: str
    labels: Mapping[str, str]
    updated_at: dt.datetime
    latest_analysis: CiAnalysis | None
    read_payload: Callable[[], Mapping[str, Any]] = field(repr=False, compare=False)

    @property
    def payload(self) -> Mapping[str, Any]:
        """The REST JSON, whole; made anew each time."""
        return self.read_payload()


@dataclass(frozen=True)
class CiOperation:
    """A long-running operation: its name, whether it ended, and with what error."""

    name: str
    is_done: bool
    error_code: str | None = None
    error_message: str | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    partial_errors: tuple[tuple[str, str], ...] = ()


class DeployedApi(Protocol):
    """What tells which scorecards and topic models an analysis is asked for."""

    async def list_scorecard_revisions(self) -> Sequence[LiveRevision]:
        """Return all revisions of all scorecards."""

    async def list_models(self) -> Sequence[LiveModel]:
        """Return all topic models, without their topics."""


class InsightsApi(DeployedApi, Protocol):
    """Conversational Insights in one project and location."""

    async def create_conversation(self, submission: CiSubmission) -> CiConversation:
        """Create it; ALREADY_EXISTS when the id is taken."""

    async def get_conversation(self, conversation_id: str) -> CiConversation | None:
        """Return it in the FULL view, or None."""

    async def update_conversation(self, submission: CiSubmission) -> CiConversation:
        """Make everything equal to the submission but the transcript and the medium, which stay
        as they are: Insights can't change them."""

    async def set_labels(self, conversation_id: str, labels: Mapping[str, str]) -> None:
        """Make the labels equal to these, and change nothing else."""

    async def list_analyses(self, conversation_id: str) -> Sequence[CiAnalysisState]:
        """Return every analysis of the conversation, newest first."""

    async def delete_conversation(self, conversation_id: str) -> None:
        """Delete it with its analyses; no error when it's gone."""

    async def list_conversations(self, filter_: str, page_token: str = "") -> Page[CiConversation]:
        """Return a page of those that the filter admits, in the FULL view."""

    async def create_analysis(self, conversation_id: str, selector: Selector) -> CiOperation:
        """Start an analysis. Not idempotent, and billed."""

    async def running_analysis(self, conversation_id: str) -> CiOperation | None:
        """Return the operation that analyses the conversation now, or None."""

    async def running_bulk_analysis(self) -> CiOperation | None:
        """Return the bulk analysis that runs in the location now, or None."""

    async def bulk_analyze(self, filter_: str, selector: Selector) -> CiOperation:
        """Start an analysis of all that the filter admits."""

    async def get_operation(self, name: str) -> CiOperation:
        """Return the operation's state."""

    async def list_matchers(self) -> Sequence[CiMatcher]:
        """Return all phrase matchers of the location."""

    async def create_matcher(self, definition: MatcherDefinition, version_tag: str) -> CiMatcher:
        """Create one; Insights makes the id."""

    async def update_matcher(
        self, name: str, definition: MatcherDefinition, version_tag: str
    ) -> CiMatcher:
        """Make it equal to the definition; any change but activation makes a revision."""

    async def delete_matcher(self, name: str) -> None:
        """Delete it."""


@dataclass(frozen=True)
class CiMatcher:
    """A phrase matcher as Insights holds it."""

    applied: AppliedMatcher
    name: str
    version_tag: str
    definition: MatcherDefinition
    payload: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True)
class LoadResult:
    """A finished load job."""

    job_id: str
    row_count: int


class RawSink(Protocol):
    """The raw tables."""

    async def load(self, table: str, uri: str, job_id: str) -> LoadResult:
        """Load one gzip'd newline-delimited JSON object; the job id makes it happen once.

        A job of that id that is done without error counts as this one; one that runs is waited
        for. Raises RemoteError JOB_FAILED when the job failed, JOB_FAILED_BEFORE when the id was
        taken already by a job that failed: either way take the next id.
        """

    async def query(
        self, sql: str, parameters: Mapping[str, Any], max_rows: int | None = None
    ) -> Sequence[Mapping[str, Any]]:
        """Return the rows of a parametrised SELECT."""

    async def erase(self, table: str, conversation_id: str) -> int:
        """Delete the rows of one conversation but for its tombstones (events of the step
        `forget`); return how many. Only for a conversation that was forgotten."""

    def mart(self, name: str) -> str:
        """Return the full, quoted name of one of dbt's marts for use in SQL."""

    def table(self, name: str) -> str:
        """Return the full, quoted name of a raw table for use in SQL."""
