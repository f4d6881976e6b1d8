"""What keeps statements and jobs from the machine's files: BigQuery has none, DuckDB opens any.

Three walls. Statements that BigQuery doesn't know, as COPY, ATTACH or INSTALL, and DuckDB's table
functions, as `read_text`, are refused in BigQuery's words. URIs of jobs lead to objects of Cloud
Storage and nowhere else. And DuckDB itself may open nothing but the emulator's data and the
buckets, whatever text reaches it, until the process ends.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import duckdb
from local_bigquery.errors import BigQueryError, position
from local_bigquery.jobs import storage
from local_bigquery.settings import settings
from sqlglot import exp

Parse = Callable[[str], list[exp.Expression]]

STATEMENTS = (
    *(exp.Query, exp.Insert, exp.Update, exp.Delete, exp.Merge, exp.TruncateTable),
    *(exp.Create, exp.Drop, exp.Alter, exp.Export),
    *(exp.Transaction, exp.Commit, exp.Rollback),
)
"""What the emulator runs of BigQuery's statements, scripts apart."""
KINDS = {"TABLE", "VIEW", "SCHEMA", "FUNCTION", "PROCEDURE", "MODEL"}
_COMMANDS = re.compile(
    r"(CREATE(\s+OR\s+REPLACE)?|ALTER|DROP)\s+"
    r"(ALL\s+ROW\s+ACCESS|ROW\s+ACCESS|(SEARCH|VECTOR)\s+INDEX|SNAPSHOT\s+TABLE"
    r"|MATERIALIZED\s+VIEW|EXTERNAL\s+TABLE|SCHEMA|MODEL|TABLE|VIEW)\b",
    re.IGNORECASE,
)
"""Statements of BigQuery that the emulator reads by its own means."""
_NOT_SUPPORTED = {
    "ANALYZE": "AnalyzeStatement",
    "CALL": "CallStatement",
    "DESC": "DescribeStatement",
    "DESCRIBE": "DescribeStatement",
    "EXPLAIN": "ExplainStatement",
    "GRANT": "GrantStatement",
    "IMPORT": "ImportStmt",
    "LOAD": "AuxLoadDataStatement",
    "REVOKE": "RevokeStatement",
    "SHOW": "ShowStatement",
}
_KEYWORDS = {"COPY", "SET", "VALUES"}
_TABLE_FUNCTIONS = {
    *("external_query", "appends", "changes", "gap_fill", "range_sessionize", "vector_search")
}
"""Table functions that BigQuery has without a dataset before them."""
_OF_DUCKDB = {"main", "pg_catalog", "information_schema"}
"""Schemas in which DuckDB keeps its own functions, in every database."""
_OBJECT = re.compile(r"gs://([a-z0-9][a-z0-9._-]+)/(.+)", re.DOTALL)
_UPLOAD_SEC = 60
_PROJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9:_-]*(\.[A-Za-z0-9:_-]+)*")


def confine(connection: duckdb.DuckDBPyConnection, *folders: Path) -> None:
    """Let DuckDB open what lies in the folders and nothing else, for good.

    Its extensions must be loaded before: it opens their files, too.
    """
    allowed = ", ".join(storage.literal(f"{folder.resolve()}/") for folder in folders)
    connection.execute(f"SET allowed_directories = [{allowed}]")
    connection.execute("SET python_enable_replacements = false")
    connection.execute("SET autoinstall_known_extensions = false")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def with_known_statements(parse: Parse) -> Parse:
    """Return the parser of statements that refuses those that BigQuery doesn't know."""

    def corrected(sql: str) -> list[exp.Expression]:
        trees = parse(sql)
        for tree in trees:
            check_statement(tree, sql)
            check_tables(tree)
        return trees

    return corrected


def with_checked_tables(normalise: Callable[..., exp.Expression]) -> Callable[..., exp.Expression]:
    """Return the reader of statements that the parser leaves as they are, with `check_tables`."""

    def corrected(tree: exp.Expression) -> exp.Expression:
        return check_tables(normalise(tree))

    return corrected


def check_tables(tree: exp.Expression, _context: Any = None) -> exp.Expression:
    """Return the tree; raise BigQueryError where it reads from a function of DuckDB or a path."""
    for node in tree.find_all(exp.Table, exp.Lateral):
        names = ".".join(part.name for part in node.parts) if isinstance(node, exp.Table) else ""
        if isinstance(node, exp.Lateral):
            raise _refusal(f"LATERAL join is not supported at [{position(node)}]")
        if isinstance(node, exp.Table) and isinstance(node.this, exp.Func):
            _check_table_function(node, node.this)
        elif "/" in names:
            raise _refusal(f"Invalid table name: `{names}`")
    return tree


def check_statement(tree: exp.Expression, sql: str) -> None:
    """Raise BigQueryError unless the statement is one of BigQuery's that the emulator knows."""
    if isinstance(tree, exp.Command):
        if _COMMANDS.match(tree.sql(dialect="bigquery").strip()):
            return
    elif isinstance(tree, exp.Create | exp.Drop | exp.Alter):
        if str(tree.args.get("kind") or "TABLE").upper() in KINDS:
            return
    elif isinstance(tree, STATEMENTS):
        return
    first, second = [*re.findall(r"\w+", sql), "", ""][:2]
    word = first.upper()
    if word in _NOT_SUPPORTED:
        raise _refusal(f"Statement not supported: {_NOT_SUPPORTED[word]} at [1:1]")
    if word in ("CREATE", "DROP", "ALTER"):
        raise _refusal(f"{second} is not a supported object type at [1:{len(word) + 2}]")
    found = f"keyword {word}" if word in _KEYWORDS else f'identifier "{first}"'
    raise _refusal(f"Syntax error: Unexpected {found} at [1:1]")


def with_checked_project_id(attach: Callable[[str], None]) -> Callable[[str], None]:
    """Return the opener of a project's tables that takes no path for a project's id."""

    def corrected(project_id: str) -> None:
        if not _PROJECT.fullmatch(project_id):
            raise BigQueryError("invalid", f"Invalid project ID '{project_id}'.")
        attach(project_id)

    return corrected


def check_source(uri: str) -> None:
    """Raise BigQueryError for a source of a load that no object of Cloud Storage can be."""
    if not uri.startswith("gs://"):
        raise BigQueryError("invalid", f"Source URI must be a Google Cloud Storage location: {uri}")
    if _object(uri) is None:
        raise BigQueryError("notFound", f"Not found: URI {uri}")


def uploaded_to(endpoint: str | None) -> Callable[[str], AbstractContextManager[str]]:
    """Return the writer of an extract's file that uploads it, as an object, when it is whole.

    A file that were put into the bucket's folder would have no generation, and the Cloud Storage
    emulator would no longer list the bucket.
    """

    @contextmanager
    def written(uri: str) -> Iterator[str]:
        found = _object(uri)
        if found is None:
            raise BigQueryError(
                "invalid",
                f"Invalid extract destination URI '{uri}'. Must be a valid Google Storage path.",
            )
        if endpoint is None:
            raise BigQueryError("backendError", f"no Cloud Storage runs that could hold {uri}")
        with tempfile.TemporaryDirectory(prefix="extract-") as folder:
            staged = Path(folder) / "object"
            yield str(staged)
            _upload(endpoint, *found, staged)

    return written


def _upload(endpoint: str, bucket: str, name: str, file: Path) -> None:
    from google.api_core.exceptions import GoogleAPIError, NotFound
    from google.auth.credentials import AnonymousCredentials
    from google.cloud.storage import Client
    from requests.exceptions import RequestException

    client = Client(
        project=settings.default_project_id,
        credentials=AnonymousCredentials(),
        client_options={"api_endpoint": endpoint},
    )
    try:
        client.bucket(bucket).blob(name).upload_from_filename(
            str(file), content_type="application/octet-stream", timeout=_UPLOAD_SEC, retry=None
        )
    except NotFound:
        raise BigQueryError("notFound", f"Not found: Bucket {bucket}") from None
    except (GoogleAPIError, RequestException) as error:
        raise BigQueryError("backendError", f"Unable to write gs://{bucket}/{name}") from error
    finally:
        client.close()


def _object(uri: str) -> tuple[str, str] | None:
    """Return bucket and name of an object that can be, None for any other URI."""
    match = _OBJECT.fullmatch(uri)
    root = settings.gcs_local_root
    if match is None or root is None:
        return None
    bucket, name = match.groups()
    is_inside = (root / bucket).resolve() in (root / bucket / name).resolve().parents
    return (bucket, name) if is_inside and ".." not in bucket else None


def _check_table_function(table: exp.Table, call: exp.Func) -> None:
    written = str(call.name if isinstance(call, exp.Anonymous) else call.sql_name())
    *path, name = [*(part.name for part in table.parts[:-1]), *written.split(".")]
    is_known = path[-1].lower() not in _OF_DUCKDB if path else name.lower() in _TABLE_FUNCTIONS
    if not is_known:
        full = ".".join([*path, name])
        raise _refusal(f"Table-valued function not found: {full} at [{position(call)}]")


def _refusal(message: str) -> BigQueryError:
    return BigQueryError("invalidQuery", message)
