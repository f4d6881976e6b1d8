"""BigQuery for commands that only look, over its REST API.

Importing google-cloud-bigquery takes 0.5 to 1 s, as long as everything else that such a command
does; the four methods needed here are plain JSON. On Google Cloud requests go through
google-auth's session, which finds and refreshes credentials; an emulator needs neither.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from urllib.parse import quote, urlencode, urlsplit

from ingest.errors import RemoteError, SettingsError
from ingest.gcp.bigquery_json import column, decoded_row, encoded_parameter, table_details
from ingest.gcp.status_codes import HINTS, http_code
from ingest.ports.inspect import Estimate, QueryResult, TableDetails, TableSummary
from ingest.settings import Settings

_HOST = "https://bigquery.googleapis.com"
_SCOPE = "https://www.googleapis.com/auth/bigquery"
_PAGE_ROWS = 10_000
_WAIT_MS = 20_000
_LONGEST_WAIT_POLLS = 30


class RestWarehouse:
    """The datasets of one project in BigQuery or its emulator."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._prefix = f"/bigquery/v2/projects/{settings.project_id}"
        self._transport: _Transport = (
            _GoogleTransport(settings.rpc_timeout_sec)
            if settings.bigquery_endpoint is None
            else _EmulatorTransport(settings.bigquery_endpoint, settings.rpc_timeout_sec)
        )

    @property
    def raw_dataset(self) -> str:
        """Name of the dataset of raw tables."""
        return self._settings.raw_dataset

    @property
    def marts_dataset(self) -> str:
        """Name of the dataset of marts."""
        return self._settings.marts_dataset

    def raw(self, table: str) -> str:
        """Return the full, quoted name of a raw table."""
        return self.full_name(self._settings.raw_dataset, table)

    def mart(self, table: str) -> str:
        """Return the full, quoted name of a mart."""
        return self.full_name(self._settings.marts_dataset, table)

    def full_name(self, dataset: str, table: str) -> str:
        """Return the full, quoted name of a table of any dataset of the project."""
        return f"`{self._settings.project_id}.{dataset}.{table}`"

    def query(
        self,
        sql: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        max_rows: int | None = None,
        max_bytes: int | None = None,
    ) -> QueryResult:
        """Return the rows of one statement with named parameters."""
        body = self._query_body(sql, parameters)
        body["maxResults"] = min(max_rows or _PAGE_ROWS, _PAGE_ROWS)
        if max_bytes is not None:
            body["maximumBytesBilled"] = str(max_bytes)
        answer = self._finished(self._send("POST", "/queries", body))
        columns = tuple(column(field) for field in answer.get("schema", {}).get("fields", ()))
        fields = answer.get("schema", {}).get("fields", ())
        rows = [decoded_row(fields, row) for row in answer.get("rows", ())]
        total = int(answer.get("totalRows") or 0)
        token = answer.get("pageToken")
        while token and (max_rows is None or len(rows) < max_rows):
            page = self._results(answer["jobReference"], {"pageToken": token})
            rows += [decoded_row(fields, row) for row in page.get("rows", ())]
            token = page.get("pageToken")
        processed = int(answer.get("totalBytesProcessed") or 0)
        return QueryResult(columns, tuple(rows[:max_rows]), total, processed)

    def estimate(self, sql: str, parameters: Mapping[str, Any] | None = None) -> Estimate:
        """Return what the statement is and would read, without running it."""
        query = self._query_body(sql, parameters)
        del query["timeoutMs"]
        location = query.pop("location", None)
        request: dict[str, Any] = {"configuration": {"dryRun": True, "query": query}}
        if location:
            project_id = self._settings.project_id
            request["jobReference"] = {"projectId": project_id, "location": location}
        job = self._send("POST", "/jobs", request)
        statistics = job.get("statistics", {})
        return Estimate(
            statement_type=statistics.get("query", {}).get("statementType", "UNKNOWN"),
            processed_bytes=int(statistics.get("totalBytesProcessed") or 0),
        )

    def tables(self, dataset: str) -> Sequence[TableSummary]:
        """Return the dataset's tables and views by name; none when there is no such dataset."""
        found: list[TableSummary] = []
        token = ""
        while True:
            options = {"maxResults": "1000", **({"pageToken": token} if token else {})}
            path = f"/datasets/{quote(dataset, safe='')}/tables?{urlencode(options)}"
            page = self._send_or_none("GET", path)
            if page is None:
                return []
            found += [
                TableSummary(dataset, item["tableReference"]["tableId"], item.get("type", "TABLE"))
                for item in page.get("tables", ())
            ]
            token = page.get("nextPageToken", "")
            if not token:
                return sorted(found, key=lambda table: table.name)

    def table(self, dataset: str, name: str) -> TableDetails | None:
        """Return one table, or None."""
        path = f"/datasets/{quote(dataset, safe='')}/tables/{quote(name, safe='')}"
        answer = self._send_or_none("GET", path)
        return None if answer is None else table_details(answer)

    def _query_body(self, sql: str, parameters: Mapping[str, Any] | None) -> dict[str, Any]:
        body: dict[str, Any] = {"query": sql, "useLegacySql": False, "timeoutMs": _WAIT_MS}
        if self._settings.bigquery_endpoint is None:
            body["location"] = self._settings.location
        if parameters:
            body["parameterMode"] = "NAMED"
            body["queryParameters"] = [
                encoded_parameter(name, value) for name, value in parameters.items()
            ]
        return body

    def _finished(self, answer: dict[str, Any]) -> dict[str, Any]:
        for _ in range(_LONGEST_WAIT_POLLS):
            if answer.get("jobComplete", True):
                return answer
            answer = self._results(answer["jobReference"], {"timeoutMs": str(_WAIT_MS)})
        raise RemoteError(
            "BigQuery: DEADLINE_EXCEEDED: the query still runs",
            "narrow it down, or look for it with `bq ls -j`",
            code="DEADLINE_EXCEEDED",
        )

    def _results(self, job: Mapping[str, Any], options: Mapping[str, str]) -> dict[str, Any]:
        if job.get("location"):
            options = {**options, "location": job["location"]}
        return self._send("GET", f"/queries/{quote(job['jobId'])}?{urlencode(options)}")

    def _send_or_none(self, method: str, path: str) -> dict[str, Any] | None:
        try:
            return self._send(method, path)
        except RemoteError as error:
            if error.code == "NOT_FOUND":
                return None
            raise

    def _send(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        content = None if body is None else json.dumps(body).encode()
        status, answer = self._transport.send(method, self._prefix + path, content)
        try:
            decoded: dict[str, Any] = json.loads(answer) if answer else {}
        except ValueError:
            decoded = {}
        if status < 300:
            return decoded
        reasons = (item.get("reason", "") for item in decoded.get("error", {}).get("errors", ()))
        code = http_code(status, reasons)
        message = decoded.get("error", {}).get("message") or f"HTTP status {status}"
        raise RemoteError(f"BigQuery: {code}: {message}", HINTS.get(code, ""), code=code)


class _Transport(Protocol):
    def send(self, method: str, path: str, content: bytes | None) -> tuple[int, bytes]:
        """Return status and body of the answer, or raise RemoteError UNAVAILABLE."""


class _EmulatorTransport:
    def __init__(self, endpoint: str, timeout_sec: float) -> None:
        self._address = urlsplit(endpoint).netloc
        self._timeout_sec = timeout_sec

    def send(self, method: str, path: str, content: bytes | None) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(self._address, timeout=self._timeout_sec)
        try:
            connection.request(method, path, content, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise _unreachable(error) from error
        finally:
            connection.close()


class _GoogleTransport:
    def __init__(self, timeout_sec: float) -> None:
        self._timeout_sec = timeout_sec
        self._session: Any = None

    def send(self, method: str, path: str, content: bytes | None) -> tuple[int, bytes]:
        from google.auth import exceptions
        from requests import RequestException

        try:
            answer = self._connected().request(
                method,
                _HOST + path,
                data=content,
                headers={"Content-Type": "application/json"},
                timeout=self._timeout_sec,
            )
        except exceptions.DefaultCredentialsError as error:
            raise SettingsError(
                "no Google credentials found", "run `gcloud auth application-default login`"
            ) from error
        except (exceptions.GoogleAuthError, RequestException) as error:
            raise _unreachable(error) from error
        return answer.status_code, answer.content

    def _connected(self) -> Any:
        if self._session is None:
            import google.auth
            from google.auth.transport.requests import AuthorizedSession

            credentials, _ = google.auth.default(scopes=[_SCOPE])
            self._session = AuthorizedSession(credentials)
        return self._session


def _unreachable(error: Exception) -> RemoteError:
    if isinstance(error, TimeoutError):
        code, what = "DEADLINE_EXCEEDED", "no answer in time"
    else:
        code, what = "UNAVAILABLE", f"cannot connect ({type(error).__name__})"
    return RemoteError(f"BigQuery: {code}: {what}", HINTS[code], code=code)
