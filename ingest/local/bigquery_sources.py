"""Where the BigQuery emulator decompresses the source of a load job once.

A load reads its source three times: to check the rows, to count those that don't fit, and to write
the others. Decompressing takes a third of each, so it's done beforehand. The job's figures stay
those of the source as it lies in the bucket.
"""

from __future__ import annotations

import gzip
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import duckdb
from local_bigquery.jobs import storage
from local_bigquery.models import JobConfigurationLoad

JSON_LINES = "NEWLINE_DELIMITED_JSON"
Load = Callable[[duckdb.DuckDBPyConnection, JobConfigurationLoad, str | None], Any]
_plain: ContextVar[Mapping[str, str] | None] = ContextVar("plain_sources", default=None)


def paths(cursor: duckdb.DuckDBPyConnection, uri: str) -> list[str]:
    """Return the files of a source URI, as the emulator's own `paths`: decompressed, where the
    job has done that."""
    plain = _plain.get() or {}
    return [plain.get(path, path) for path in storage.paths(cursor, uri)]


def with_decompressed_sources(load: Load) -> Load:
    """Return the load handler that reads gzip'd JSON lines from decompressed copies."""

    def corrected(
        cursor: duckdb.DuckDBPyConnection, config: JobConfigurationLoad, upload: str | None
    ) -> Any:
        if upload or config.sourceFormat != JSON_LINES or config.hivePartitioningOptions:
            return load(cursor, config, upload)
        sources = [path for uri in config.sourceUris or [] for path in storage.paths(cursor, uri)]
        with _decompressed(sources):
            statistics = load(cursor, config, upload)
        size = sum(Path(path).stat().st_size for path in sources)
        return statistics.replace(inputFileBytes=str(size))

    return corrected


@contextmanager
def _decompressed(sources: list[str]) -> Iterator[None]:
    with tempfile.TemporaryDirectory(prefix="bigquery-load-") as folder:
        plain: dict[str, str] = {}
        for number, source in enumerate(sources):
            if source.endswith(".gz"):
                copy = Path(folder) / f"{number}.json"
                if _is_decompressed(Path(source), copy):
                    plain[source] = str(copy)
        token = _plain.set(plain)
        try:
            yield
        finally:
            _plain.reset(token)


def _is_decompressed(source: Path, copy: Path) -> bool:
    try:
        with gzip.open(source) as compressed, copy.open("wb") as file:
            shutil.copyfileobj(compressed, file, 1 << 20)
    except (OSError, EOFError, zlib.error):
        return False  # the emulator's own reader says what is wrong with it
    return True
