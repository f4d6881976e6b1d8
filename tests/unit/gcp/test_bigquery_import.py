"""The sidecar's start: what it must not load."""

from __future__ import annotations

import subprocess
import sys

PROBE = """
import sys
import ingest.cli.push
import ingest.gcp.bigquery, ingest.gcp.insights, ingest.gcp.storage
print(sorted({"numpy", "pandas", "pyarrow"} & sys.modules.keys()))
import numpy, pandas
print(pandas.DataFrame({"n": numpy.arange(3)})["n"].sum())
"""


def test_the_adapters_load_no_data_frames_and_leave_them_loadable() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROBE], capture_output=True, text=True, check=True, timeout=120
    )

    assert done.stdout.splitlines() == ["[]", "3"]
