"""ExportInsightsData: the conversations that match, loaded into a BigQuery table."""

from __future__ import annotations

import asyncio
import tempfile
from typing import IO, TYPE_CHECKING

import orjson

from ingest.emulator import protos
from ingest.emulator.conversations import ConversationMethods
from ingest.emulator.core import Core
from ingest.emulator.export_rows import export_row
from ingest.emulator.filter_fields import CONVERSATION_FIELDS
from ingest.emulator.filters import compile_filter
from ingest.emulator.operation_kinds import Kind, Outcome, Running
from ingest.emulator.operations import OperationEngine
from ingest.emulator.problems import ApiError, failed_precondition, invalid, unimplemented

if TYPE_CHECKING:
    from ingest.emulator.export_loading import TableLoader

KIND = "ExportInsightsData"
_TRUNCATE, _APPEND = 1, 2
_CHUNK = 20
_Request = protos.message_class("ExportInsightsDataRequest")
_Metadata = protos.message_class("ExportInsightsDataMetadata")
_Response = protos.message_class("ExportInsightsDataResponse")


class ExportMethods:
    """The method, by its RPC name in snake case."""

    def __init__(
        self,
        core: Core,
        conversations: ConversationMethods,
        operations: OperationEngine,
        bigquery_endpoint: str | None,
    ) -> None:
        self._core = core
        self._conversations = conversations
        self._operations = operations
        self._endpoint = bigquery_endpoint
        operations.register(Kind(KIND, _Request, _Metadata, in_background=self._export))

    async def export_insights_data(self, request: protos.Pb) -> protos.Pb:
        """Check destination and filter, then load the rows in an operation.

        A missing dataset or table is INVALID_ARGUMENT (documented): the table must be there.
        """
        parent = self._core.names.location(request.parent)
        compile_filter(request.filter, CONVERSATION_FIELDS)
        destination = request.big_query_destination
        if not destination.dataset or not destination.table:
            raise invalid("big_query_destination needs dataset and table.")
        if request.write_disposition not in (0, _TRUNCATE, _APPEND):
            raise invalid("Invalid write_disposition: use WRITE_TRUNCATE or WRITE_APPEND.")
        if request.kms_key:
            raise unimplemented("An export with a kms_key")
        if self._endpoint is None:
            raise failed_precondition(
                "The CI emulator was started without --bigquery-endpoint; it can't export."
            )
        await asyncio.to_thread(self._loader(request).check_table)
        return await self._operations.start(KIND, parent, request, _Metadata(request=request))

    async def _export(self, running: Running) -> Outcome:
        request = running.request
        with tempfile.TemporaryFile() as rows:
            await self._write_rows(running, rows)
            rows.seek(0)
            append = request.write_disposition == _APPEND
            await asyncio.to_thread(self._loader(request).load, rows, append)
        return Outcome(_Response())

    def _loader(self, request: protos.Pb) -> TableLoader:
        """The BigQuery client takes half a second to import: only exports wait for it."""
        from ingest.emulator.export_loading import TableLoader

        destination = request.big_query_destination
        project = _project(request, self._core.names.project_id)
        return TableLoader(
            str(self._endpoint), project, f"{destination.dataset}.{destination.table}"
        )

    async def _write_rows(self, running: Running, rows: IO[bytes]) -> None:
        """Write the rows to disk, so that a large export needs no memory."""
        condition = compile_filter(running.request.filter, CONVERSATION_FIELDS)
        parent_id = self._core.database.parent_id(running.parent)
        seqs = self._core.conversations.matching(parent_id, condition.sql, condition.parameters)
        now = self._core.clock.now()
        for count, seq in enumerate(seqs, start=1):
            for stored in self._core.conversations.read([seq]):
                try:
                    fault = self._core.switches.faults.draw("partial", KIND)
                    if fault is not None:
                        raise fault.error()
                    full = protos.Conversation.FromString(self._conversations.full(stored))
                    rows.write(orjson.dumps(export_row(full, now)) + b"\n")
                except ApiError as error:
                    running.metadata.partial_errors.append(error.status())
            if count % _CHUNK == 0:
                await asyncio.sleep(0)


def _project(request: protos.Pb, project_id: str | None) -> str:
    """Return the destination's project; by default the one that the caller named.

    BigQuery emulators know projects by id only, so a number becomes the id that is set.
    """
    project = str(request.big_query_destination.project_id or request.parent.split("/")[1])
    return project_id if project_id is not None and project.isdigit() else project
