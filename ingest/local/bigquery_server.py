"""`python -m ingest.local.bigquery_server`: the corrected BigQuery emulator on 127.0.0.1.

It keeps tables and jobs under its data folder and reads `gs://` sources of load jobs from the
Cloud Storage emulator's folder.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

from ingest.local.duckdb_extensions import provide_extensions
from ingest.settings import LOCAL_PROJECT_ID

HOST = "127.0.0.1"


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until a signal ends the process."""
    options = _parse(arguments)
    configure(options.data_dir, options.gcs_root, options.project)
    import uvicorn
    from local_bigquery.grpc import server

    from ingest.local.bigquery_corrections import install
    from ingest.local.bigquery_interrupted_jobs import close_interrupted_jobs

    install()
    spill_into(options.data_dir / "spilled")
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


def spill_into(folder: Path) -> None:
    """Let queries that outgrow the memory write there instead of into the working directory."""
    from local_bigquery.engine import database

    database.execute("set temp_directory = $1", [str(folder.resolve())])


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="ingest.local.bigquery_server", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="REST port")
    parser.add_argument("--grpc-port", type=int, required=True, help="Storage API port")
    parser.add_argument("--data-dir", type=Path, required=True, help="tables, jobs and home")
    parser.add_argument("--gcs-root", type=Path, required=True, help="folder of the buckets")
    parser.add_argument("--project", default=LOCAL_PROJECT_ID, help="default project id")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
