"""Whether anything is new since the last build that ended well here: `ingest build` asks it first.

What a build depends on is its arguments, the project's files, settings, the raw tables, and that
what it made is still there. After a build that ended well all of it is kept under `target/`, as is
what dbt itself keeps of a build; another machine, or a folder that is thrown away, knows of none.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import importlib.metadata
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml

from ingest.errors import IngestError
from ingest.gcp.bigquery import BigQueryWarehouse
from ingest.settings import Settings, environment

RECORD = Path("target/last_build.json")
_ALWAYS = {
    *("--full-refresh", "-f", "--empty", "--project-dir", "--profiles-dir", "--target-path"),
    *("--state", "--defer"),
}
"""Arguments that ask for a build whatever is there, or that say that it is elsewhere."""
_KINDS = {".sql", ".yml", ".yaml", ".csv", ".md", ".py"}
_PACKAGES = ("dbt-core", "dbt-bigquery", "conversation-coach")
_CONNECTIONS = 8
_NEWEST_DAYS = 7

type Stand = dict[str, Any]


def stand_before(settings: Settings, arguments: Sequence[str], now: dt.datetime) -> Stand | None:
    """Return what a build would be made of, None where that can't be told."""
    if _ALWAYS.intersection(arguments) or not Path("dbt_project.yml").exists():
        return None
    try:
        raw = _raw_rows(settings, now)
    except IngestError:
        return None
    if any(newest and newest[:19] > f"{now:%Y-%m-%d %H:%M:%S}" for _, _, newest in raw.values()):
        return None  # what lands in the future is built when it's time
    return {"arguments": list(arguments), "project": _fingerprint(settings), "raw": raw}


def ended_well_at(before: Stand, settings: Settings) -> str | None:
    """Return when the last build of the same ended, UTC; None where one of these is to be made."""
    try:
        held = json.loads(RECORD.read_text("utf-8"))
        if held["stand"] != before or held["made"] != _made(settings):
            return None
    except (OSError, ValueError, KeyError, IngestError):
        return None
    return str(held["at"])


def forget() -> None:
    """Know of no build: one begins."""
    RECORD.unlink(missing_ok=True)


def keep(before: Stand, settings: Settings, now: dt.datetime) -> None:
    """Keep that a build of what was there before it has ended well."""
    try:
        made = _made(settings)
    except IngestError:
        return
    if not made[settings.marts_dataset]:
        return  # a profile of the user's that builds elsewhere
    RECORD.parent.mkdir(exist_ok=True)
    at = f"{now:%Y-%m-%d %H:%M:%S}Z"
    text = json.dumps({"at": at, "stand": before, "made": made})
    RECORD.write_text(text, encoding="utf-8")


def _fingerprint(settings: Settings) -> str:
    digest = hashlib.sha256()
    told_to_dbt = {name: value for name, value in environment().items() if name.startswith("DBT_")}
    told = [told_to_dbt, settings.model_dump(mode="json")]
    digest.update(json.dumps(told, sort_keys=True).encode())
    for package in _PACKAGES:
        try:
            digest.update(importlib.metadata.version(package).encode())
        except importlib.metadata.PackageNotFoundError:
            digest.update(b"-")
    for path in _files():
        digest.update(f"{path}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def _files() -> Iterator[Path]:
    """Yield what dbt reads of the project in this folder, and profiles."""
    project = yaml.safe_load(Path("dbt_project.yml").read_text("utf-8"))
    yield from sorted(path for path in Path().glob("*.yml"))
    for key, folders in sorted(project.items()):
        if key.endswith("-paths"):
            for folder in folders:
                found = (path for path in Path(folder).rglob("*") if path.suffix in _KINDS)
                yield from sorted(path for path in found if path.is_file())
    for place in (environment().get("DBT_PROFILES_DIR", "."), "~/.dbt"):
        path = Path(place).expanduser() / "profiles.yml"
        if path.exists():
            yield path


def _raw_rows(settings: Settings, now: dt.datetime) -> dict[str, Any]:
    """Return count, newest landing of the last days and last change of each raw table."""
    warehouse = BigQueryWarehouse(settings)
    try:
        found = _tables(warehouse, settings.raw_dataset)
        since = f"{now - dt.timedelta(days=_NEWEST_DAYS):%Y-%m-%d} 00:00:00+00"
        asked = " union all ".join(
            f"select '{name}' as name, cast(max(_landed_at) as string) as newest "
            f"from `{settings.project_id}.{settings.raw_dataset}.{name}` "
            f"where _landed_at >= timestamp '{since}'"
            for name in sorted(found)
        )
        rows = warehouse.query(asked).rows if asked else []
        return {row["name"]: [*found[row["name"]], row["newest"]] for row in rows}
    finally:
        warehouse.close()


def _made(settings: Settings) -> dict[str, Any]:
    """Return count and last change of what dbt has made."""
    warehouse, marts = BigQueryWarehouse(settings), settings.marts_dataset
    try:
        return {name: _tables(warehouse, name) for name in (marts, f"{marts}_staging")}
    finally:
        warehouse.close()


def _tables(warehouse: BigQueryWarehouse, dataset: str) -> dict[str, list[Any]]:
    names = [table.name for table in warehouse.tables(dataset)]
    with ThreadPoolExecutor(_CONNECTIONS) as threads:
        found = threads.map(lambda name: warehouse.table(dataset, name), names)
        return {
            table.name: [table.row_count, table.modified_at and table.modified_at.isoformat()]
            for table in found
            if table is not None
        }
