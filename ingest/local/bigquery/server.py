"""`python -m ingest.local.bigquery.server`: the corrected BigQuery emulator on 127.0.0.1.

It keeps tables and jobs under its data folder and reads `gs://` sources of load jobs from the
Cloud Storage emulator's folder. DuckDB's extensions come from installed packages; nothing is
downloaded."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import shutil
import tempfile
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import duckdb

from ingest.settings import LOCAL_PROJECT_ID

HOST = "127.0.0.1"
MEMORY_SHARE = 0.5
"""Of the machine, for queries; what outgrows it is written under the data where it can be. DuckDB's
own bound, four fifths, takes no account of other processes: its allocations fail beside them."""
EXTENSIONS = ("ducklake", "icu", "spatial")


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until a signal ends the process."""
    options = _parse(arguments)
    configure(options.data_dir, options.gcs_root, options.project)
    import uvicorn
    from local_bigquery.grpc import server

    from ingest.local.bigquery.corrections import install
    from ingest.local.bigquery.jobs import close_interrupted_jobs

    install(options.gcs_endpoint)
    keep_within(options.data_dir, options.gcs_root)
    closed = close_interrupted_jobs()
    if closed:
        logging.getLogger(__name__).warning("event=interrupted_jobs_closed count=%d", closed)
    grpc_server, _ = server.start(HOST, options.grpc_port)
    try:
        uvicorn.run("local_bigquery:app", host=HOST, port=options.port, log_level="warning")
    finally:
        grpc_server.stop(None)


def configure(data_dir: Path, gcs_root: Path, project_id: str = LOCAL_PROJECT_ID) -> None:
    """Point the emulator of this process at its folders, whatever the environment says.

    Must come before anything of the emulator opens its database.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    provide_extensions(data_dir.resolve() / "home")
    from local_bigquery.settings import settings

    settings.data_dir = data_dir.resolve()
    settings.gcs_local_root = gcs_root.resolve()
    settings.storage_emulator_host = None
    settings.default_project_id = project_id
    settings.postgres_connection_id = ""  # EXTERNAL_QUERY finds no connection


def provide_extensions(home: Path) -> Path:
    """Link the packaged extensions to where DuckDB looks for them under `home`.

    DuckDB finds its extensions by HOME alone; the links replace the 137 MB of copies that its own
    INSTALL makes in each data folder, and follow a package upgrade. Returns the folder.
    """
    with duckdb.connect() as connection:
        version = _value(connection, "PRAGMA version")
        platform = _value(connection, "PRAGMA platform")
    folder = home / ".duckdb" / "extensions" / version / platform
    folder.mkdir(parents=True, exist_ok=True)
    for name in EXTENSIONS:
        packaged = Path(str(files(f"duckdb_extension_{name}")))
        _link(packaged / "extensions" / version / f"{name}.duckdb_extension", folder)
    # DuckDB asks the C library for HOME, once per connection; Python's own view stays as it is.
    os.putenv("HOME", str(home))
    return folder


def _value(connection: duckdb.DuckDBPyConnection, pragma: str) -> str:
    row = connection.execute(pragma).fetchone()
    assert row is not None, pragma  # noqa: S101 (a pragma always answers)
    return str(row[0])


def _link(source: Path, folder: Path) -> None:
    source.stat()
    link = folder / source.name
    with contextlib.suppress(FileNotFoundError):
        link.unlink()
    link.symlink_to(source)


def keep_within(data_dir: Path, gcs_root: Path) -> None:
    """Let no statement open anything but the emulator's data and the buckets.

    Queries that outgrow the memory write under the data, too, as do loads and extracts.
    """
    from local_bigquery.engine import database

    from ingest.local.bigquery.files import confine

    scratch = data_dir.resolve() / "tmp"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    tempfile.tempdir = str(scratch)
    connection = database.connection()
    connection.execute("SET temp_directory = $1", [str(scratch / "spilled")])
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") * MEMORY_SHARE
    connection.execute("SET memory_limit = $1", [f"{memory / 2**20:.0f}MiB"])
    for name in EXTENSIONS:
        connection.load_extension(name)
    confine(connection, data_dir, gcs_root)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="ingest.local.bigquery.server", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="REST port")
    parser.add_argument("--grpc-port", type=int, required=True, help="Storage API port")
    parser.add_argument("--data-dir", type=Path, required=True, help="tables, jobs and home")
    parser.add_argument("--gcs-root", type=Path, required=True, help="folder of the buckets")
    parser.add_argument("--gcs-endpoint", help="Cloud Storage emulator that extracts go to")
    parser.add_argument("--project", default=LOCAL_PROJECT_ID, help="default project id")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
