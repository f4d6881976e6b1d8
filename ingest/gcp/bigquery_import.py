"""google-cloud-bigquery, without the data-frame libraries that it loads wherever they lie.

dbt's adapter installs pandas, pyarrow and the client of BigQuery's Storage API beside it. Nothing
here needs them: rows are read one by one. Loading them takes half of the sidecar's start and
80 MB. The client treats each as optional, so they are hidden while it's imported, and no longer.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_OPTIONAL = (
    "google.cloud.bigquery_storage",
    "google.cloud.bigquery_storage_v1",
    "numpy",
    "pandas",
    "pandas_gbq",
    "pyarrow",
)


@contextmanager
def _hidden(names: tuple[str, ...]) -> Iterator[None]:
    """Let imports of these modules fail, but of those that are loaded already."""
    absent = [name for name in names if name not in sys.modules]
    modules: dict[str, Any] = sys.modules
    modules.update(dict.fromkeys(absent))  # None is how Python marks what can't be imported
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]


with _hidden(_OPTIONAL):
    from google.cloud import bigquery

__all__ = ["bigquery"]
