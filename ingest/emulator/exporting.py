"""ExportInsightsData: the conversations that match, loaded into a BigQuery table."""

from __future__ import annotations

import asyncio
import io
import tempfile
from importlib.resources import files
from typing import IO, Any

import orjson
from google.api_core import exceptions
from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from ingest.emulator import protos
from ingest.emulator.conversations import ConversationMethods
from ingest.emulator.core import Core
from ingest.emulator.export_rows import export_row
from ingest.emulator.filter_fields import CONVERSATION_FIELDS
from ingest.emulator.filters import compile_filter
from ingest.emulator.operation_kinds import Kind, Outcome, Running
from ingest.emulator.operations import OperationEngine
from ingest.emulator.problems import ApiError, failed_precondition, invalid, unavailable

KIND = "ExportInsightsData"
_APPEND = 2
_TIMEOUT_SEC = 120.0
_CHUNK = 20
_IN_MEMORY_BYTES = 16 * 2**20
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
        if self._endpoint is None:
            raise failed_precondition(
                "The CI emulator was started without --bigquery-endpoint; it can't export."
            )
        await asyncio.to_thread(
            self._check_table, _project(request, self._core.names.project_id), destination
        )
        return await self._operations.start(KIND, parent, request, _Metadata(request=request))

    async def _export(self, running: Running) -> Outcome:
        request = running.request
        with tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES) as rows:
            await self._write_rows(running, rows)
            rows.seek(0)
            await asyncio.to_thread(self._load, request, rows)
        return Outcome(_Response())

    async def _write_rows(self, running: Running, rows: IO[bytes]) -> None:
        """Write the rows of a large export to disk, not into memory."""
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

    def _check_table(self, project: str, destination: protos.Pb) -> None:
        name = f"{project}.{destination.dataset}.{destination.table}"
        try:
            self._client(project).get_table(name, retry=None, timeout=_TIMEOUT_SEC)
        except exceptions.NotFound as error:
            raise invalid(f"BigQuery table '{name}' was not found; create it first.") from error
        except (exceptions.GoogleAPICallError, OSError) as error:
            raise unavailable(f"BigQuery doesn't answer ({type(error).__name__}).") from error

    def _load(self, request: protos.Pb, rows: IO[bytes]) -> None:
        """Load the rows; truncating replaces the table's schema too (documented).

        A table without a schema holds nothing to append to, and gets the export's schema.
        """
        destination = request.big_query_destination
        project = _project(request, self._core.names.project_id)
        table = f"{project}.{destination.dataset}.{destination.table}"
        client = self._client(project)
        has_schema = bool(client.get_table(table, timeout=_TIMEOUT_SEC).schema)
        append = request.write_disposition == _APPEND and has_schema
        config = bigquery.LoadJobConfig(
            schema=export_schema(),
            source_format=bigquery.SourceFormat.NEWLINE_DELIMITED_JSON,
            write_disposition="WRITE_APPEND" if append else "WRITE_TRUNCATE",
        )
        if append:
            config.schema_update_options = [bigquery.SchemaUpdateOption.ALLOW_FIELD_ADDITION]
        content = io.BytesIO(rows.read())
        try:
            job = client.load_table_from_file(
                content, table, job_config=config, timeout=_TIMEOUT_SEC
            )
            job.result(timeout=_TIMEOUT_SEC)
        except exceptions.GoogleAPICallError as error:
            raise failed_precondition(f"BigQuery refused the load: {error.message}") from error

    def _client(self, project: str) -> Any:
        return bigquery.Client(
            project=project,
            credentials=AnonymousCredentials(),
            client_options=ClientOptions(api_endpoint=self._endpoint),
        )


def export_schema() -> list[bigquery.SchemaField]:
    """Return the columns of an export, in the order of the published schema."""
    content = files("ingest.emulator").joinpath("export_schema.json").read_bytes()
    return [bigquery.SchemaField.from_api_repr(field) for field in orjson.loads(content)]


def _project(request: protos.Pb, project_id: str | None) -> str:
    """Return the destination's project; by default the one that the caller named.

    BigQuery emulators know projects by id only, so a number becomes the id that is set.
    """
    project = str(request.big_query_destination.project_id or request.parent.split("/")[1])
    return project_id if project_id is not None and project.isdigit() else project
