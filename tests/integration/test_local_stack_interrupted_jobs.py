"""A load that a kill cuts off either happened, and says so, or didn't, and says that."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.stack, pytest.mark.chaos]

PREPARE = """
import sys
from pathlib import Path
from ingest.local.bigquery.server import configure
configure(Path(sys.argv[1]), Path(sys.argv[1]) / "gcs")
from ingest.local.bigquery.corrections import install
install()
from local_bigquery.catalog import datasets, tables
from local_bigquery.jobs import runner, store
from local_bigquery.models import Dataset, JobConfiguration, Table
"""
LOAD_AND_DIE = (
    PREPARE
    + """
import os
datasets.create("local-project", Dataset(datasetReference={"datasetId": "raw"}))
fields = {"fields": [{"name": "a", "type": "INTEGER", "mode": "REQUIRED"}]}
tables.create("local-project", "raw", Table(tableReference={"tableId": "t"}, schema=fields), None)

moment, saved = sys.argv[2], store.save
if moment == "after the rows are in":
    def save(job):
        if job.status.state == "DONE":
            os._exit(9)
        return saved(job)
    store.save = save
else:
    from local_bigquery.engine import results
    results.materialise = lambda *args, **kwargs: os._exit(9)

load = {
    "sourceUris": ["gs://bucket/rows.json"],
    "sourceFormat": "NEWLINE_DELIMITED_JSON",
    "writeDisposition": "WRITE_APPEND",
    "destinationTable": {"projectId": "local-project", "datasetId": "raw", "tableId": "t"},
}
runner.submit("local-project", "batch-1", JobConfiguration.model_validate({"load": load}))
runner.wait("local-project", "batch-1", 20_000)
"""
)
RECOVER = (
    PREPARE
    + """
import json
from ingest.local.bigquery.jobs import close_interrupted_jobs
from local_bigquery.engine import database
closed = close_interrupted_jobs()
job = store.load("local-project", "batch-1").dump()
(rows,) = database.fetch('select count(*) from "local-project".raw.t')[0]
error = job["status"].get("errorResult")
print(json.dumps({
    "closed": closed,
    "state": job["status"]["state"],
    "error": error and error["reason"],
    "output_rows": job["statistics"].get("load", {}).get("outputRows"),
    "rows_in_table": rows,
}))
"""
)


@pytest.mark.parametrize(
    ("moment", "error", "output_rows", "rows_in_table"),
    [("after the rows are in", None, "3", 3), ("before the rows are in", "backendError", None, 0)],
)
def test_an_interrupted_load_tells_whether_its_rows_are_in(
    tmp_path: Path, moment: str, error: str | None, output_rows: str | None, rows_in_table: int
) -> None:
    bucket = tmp_path / "gcs" / "bucket"
    bucket.mkdir(parents=True)
    (bucket / "rows.json").write_text('{"a": 1}\n{"a": 2}\n{"a": 3}\n')

    killed = _python(LOAD_AND_DIE, str(tmp_path), moment)
    recovered = _python(RECOVER, str(tmp_path))

    assert (killed.returncode, killed.stderr) == (9, "")
    assert json.loads(recovered.stdout) == {
        "closed": 1,
        "state": "DONE",
        "error": error,
        "output_rows": output_rows,
        "rows_in_table": rows_in_table,
    }


def _python(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
