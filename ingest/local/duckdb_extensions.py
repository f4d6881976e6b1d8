"""DuckDB's extensions come from installed packages; nothing is downloaded."""

from __future__ import annotations

import contextlib
import os
from importlib.resources import files
from pathlib import Path

import duckdb

EXTENSIONS = ("ducklake", "icu", "spatial")


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
