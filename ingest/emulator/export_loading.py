"""Rows of an export, loaded into one BigQuery table."""

from __future__ import annotations

from importlib.resources import files
from typing import IO, Any

import orjson
from google.api_core import exceptions
from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from ingest.emulator.problems import failed_precondition, invalid, unavailable

_TIMEOUT_SEC = 120.0
_RETRIES = 0
"""A BigQuery on the same machine that drops a connection has ended; waiting doesn't help."""


class TableLoader:
    """Talks to a BigQuery emulator about one table; blocking, so it runs in a thread."""

    def __init__(self, endpoint: str, project: str, table: str) -> None:
        self._table = f"{project}.{table}"
        self._client = bigquery.Client(
            project=project,
            credentials=AnonymousCredentials(),
            client_options=ClientOptions(api_endpoint=endpoint),
        )

    def check_table(self) -> Any:
        """Return the table; INVALID_ARGUMENT when it or its dataset is missing (documented)."""
        try:
            return self._client.get_table(self._table, retry=None, timeout=_TIMEOUT_SEC)
        except exceptions.NotFound as error:
            raise invalid(
                f"BigQuery table '{self._table}' was not found; create it first."
            ) from error
        except (exceptions.GoogleAPIError, OSError) as error:
            raise unavailable(f"BigQuery doesn't answer ({type(error).__name__}).") from error

    def load(self, rows: IO[bytes], append: bool) -> None:
        """Load newline-delimited JSON; truncating replaces the table's schema too (documented).

        `rows` is read part by part from where it stands, never as a whole.
        A table without a schema holds nothing to append to, and gets the export's schema.
        """
        keeps_rows = append and bool(self.check_table().schema)
        config = bigquery.LoadJobConfig(
            schema=export_schema(),
            source_format=bigquery.SourceFormat.NEWLINE_DELIMITED_JSON,
            write_disposition="WRITE_APPEND" if keeps_rows else "WRITE_TRUNCATE",
        )
        if keeps_rows:
            config.schema_update_options = [bigquery.SchemaUpdateOption.ALLOW_FIELD_ADDITION]
        try:
            job = self._client.load_table_from_file(
                rows,
                self._table,
                job_config=config,
                timeout=_TIMEOUT_SEC,
                num_retries=_RETRIES,
            )
            job.result(retry=None, timeout=_TIMEOUT_SEC)
        except exceptions.GoogleAPICallError as error:
            raise failed_precondition(f"BigQuery refused the load: {error.message}") from error
        except (exceptions.GoogleAPIError, OSError) as error:
            raise unavailable(f"BigQuery doesn't answer ({type(error).__name__}).") from error


def export_schema() -> list[bigquery.SchemaField]:
    """Return the columns of an export, in the order of the published schema."""
    content = files("ingest.emulator").joinpath("export_schema.json").read_bytes()
    return [bigquery.SchemaField.from_api_repr(field) for field in orjson.loads(content)]
