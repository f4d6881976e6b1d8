"""What fills a stack that answers: bucket, datasets and raw tables from `ingest/schemas`; and what
leads settings and dbt to it.

In the cloud Terraform creates them from the same files, and nothing of this runs."""

from __future__ import annotations

import contextlib
import re
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ingest.errors import SettingsError
from ingest.local.layout import Layout
from ingest.local.processes import StackState
from ingest.settings import LOCAL_PROJECT_ID, Settings, load_settings

if TYPE_CHECKING:
    from google.cloud import bigquery

PARTITION_COLUMN = "_landed_at"
STAGING_DATASET_SUFFIX = "staging"
_FILE_FORMAT_SUFFIX = ".schema.json"


@dataclass(frozen=True)
class Provisioned:
    """What was made and what was there; names as BigQuery and Cloud Storage show them."""

    created: tuple[str, ...]
    widened: tuple[str, ...]
    present: tuple[str, ...]

    def __str__(self) -> str:
        parts = [
            f"{len(self.created)} created" if self.created else "",
            f"{', '.join(self.widened)} widened" if self.widened else "",
            f"{len(self.present)} already there" if self.present else "",
        ]
        return ", ".join(part for part in parts if part)


def provision(settings: Settings) -> Provisioned:
    """Make the bucket, the datasets and the raw tables exist as declared.

    A table that lacks nullable columns of its schema file gets them. Raises SettingsError when
    the settings point at Google Cloud, or when a table differs in any other way.
    """
    if settings.gcs_endpoint is None or settings.bigquery_endpoint is None:
        raise SettingsError(
            "only the local stack is provisioned from here", "in the cloud run `terraform apply`"
        )
    from ingest.gcp.errors import translated

    outcomes: list[tuple[str, str]] = []
    with translated("GCS"):
        outcomes.append(_bucket(settings))
    with translated("BigQuery"):
        outcomes.extend(_warehouse(settings))
    by_outcome = {
        outcome: tuple(name for found, name in outcomes if found == outcome)
        for outcome in ("created", "widened", "present")
    }
    return Provisioned(**by_outcome)


def import_clients() -> None:
    """Import the clients that `provision` uses; later imports of them cost nothing."""
    import google.cloud.storage  # noqa: F401

    import ingest.gcp.bigquery  # noqa: F401


def raw_table_schemas() -> dict[str, list[Mapping[str, Any]]]:
    """Return BigQuery's schema JSON of each raw table by the table's name."""
    import json

    folder = files("ingest") / "schemas"
    return {
        entry.name.removesuffix(".json"): json.loads(entry.read_text(encoding="utf-8"))
        for entry in sorted(folder.iterdir(), key=lambda entry: entry.name)
        if entry.name.endswith(".json") and not entry.name.endswith(_FILE_FORMAT_SUFFIX)
    }


def datasets(settings: Settings) -> tuple[str, str, str]:
    """Return the raw dataset, that of the marts, and that of staging and intermediate views."""
    marts = settings.marts_dataset
    return settings.raw_dataset, marts, f"{marts}_{STAGING_DATASET_SUFFIX}"


def _bucket(settings: Settings) -> tuple[str, str]:
    from google.api_core.exceptions import NotFound
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import storage

    client = storage.Client(
        project=settings.project_id,
        credentials=AnonymousCredentials(),
        client_options={"api_endpoint": settings.gcs_endpoint},
    )
    limits = {"timeout": settings.rpc_timeout_sec, "retry": None}
    name = f"gs://{settings.bucket}"
    try:
        client.get_bucket(settings.bucket, **limits)
    except NotFound:
        client.create_bucket(settings.bucket, location=settings.location, **limits)
        return "created", name
    finally:
        client.close()
    return "present", name


def _warehouse(settings: Settings) -> Iterator[tuple[str, str]]:
    from google.api_core.exceptions import NotFound
    from google.auth.credentials import AnonymousCredentials

    from ingest.gcp.bigquery import bigquery

    client = bigquery.Client(
        project=settings.project_id,
        credentials=AnonymousCredentials(),
        client_options={"api_endpoint": settings.bigquery_endpoint},
    )
    limits: dict[str, Any] = {"timeout": settings.rpc_timeout_sec, "retry": None}
    for dataset_id in datasets(settings):
        dataset = bigquery.Dataset(f"{settings.project_id}.{dataset_id}")
        dataset.location = settings.location
        try:
            client.get_dataset(dataset.reference, **limits)
            yield "present", dataset_id
        except NotFound:
            client.create_dataset(dataset, **limits)
            yield "created", dataset_id
    for name, schema in raw_table_schemas().items():
        declared = declared_table(settings, name, schema)
        try:
            live = client.get_table(declared.reference, **limits)
            yield _reconciled(client, live, declared, limits), name
        except NotFound:
            client.create_table(declared, **limits)
            yield "created", name
    client.close()


def declared_table(
    settings: Settings, name: str, schema: Sequence[Mapping[str, Any]]
) -> bigquery.Table:
    """Return a raw table with its schema, partitions and clusters, as it's to be made."""
    from ingest.gcp.bigquery import bigquery

    fields = [bigquery.SchemaField.from_api_repr(dict(field)) for field in schema]
    table = bigquery.Table(f"{settings.project_id}.{settings.raw_dataset}.{name}", schema=fields)
    table.time_partitioning = bigquery.TimePartitioning(
        type_=bigquery.TimePartitioningType.DAY, field=PARTITION_COLUMN
    )
    table.require_partition_filter = True
    table.clustering_fields = [fields[0].name]
    return table


def _reconciled(
    client: bigquery.Client,
    live: bigquery.Table,
    declared: bigquery.Table,
    limits: Mapping[str, Any],
) -> str:
    live_shape, declared_shape = _shape(live), _shape(declared)
    if live_shape == declared_shape:
        return "present"
    kept = {name: declared_shape.get(name) for name in live_shape} == live_shape
    added = [mode for name, (_, mode) in declared_shape.items() if name not in live_shape]
    if not kept or "REQUIRED" in added:
        raise SettingsError(
            f"table {live.dataset_id}.{live.table_id} isn't the one that "
            f"ingest/schemas/{live.table_id}.json declares",
            "only nullable columns can be added; `ingest local reset` starts from empty tables",
        )
    live.schema = [*live.schema, *(f for f in declared.schema if f.name not in live_shape)]
    client.update_table(live, ["schema"], **limits)
    return "widened"


def _shape(table: bigquery.Table) -> dict[str, tuple[str, str]]:
    return {field.name: (field.field_type, field.mode) for field in table.schema}


PROFILES = Path("profiles.yml")
PROFILES_EXAMPLE = Path("profiles.example.yml")
_DEFAULT_ENDPOINT = re.compile(
    r"""(env_var\(\s*'INGEST_BIGQUERY_ENDPOINT'\s*,\s*')http://127\.0\.0\.1:\d+('\s*\))"""
)


def begin_to_import_clients() -> None:
    """Import Google's clients in a thread: that takes as long as the services' start."""
    threading.Thread(target=import_clients, daemon=True).start()


def local_settings(layout: Layout, state: StackState) -> Settings:
    """Return settings that reach this stack, whatever project the environment names."""
    with contextlib.suppress(SettingsError):
        found = load_settings(layout.state_file, **state.endpoints)
        if found.project_id == LOCAL_PROJECT_ID:
            return found
    return load_settings(
        layout.state_file,
        project_id=LOCAL_PROJECT_ID,
        bucket=f"{LOCAL_PROJECT_ID}-cc-dev",
        location="us-central1",
        **state.endpoints,
    )


def point_dbt_at(endpoint: str, folder: Path, say: Callable[[str], None]) -> bool:
    """Make dbt reach this stack: return whether `folder`/profiles.yml leads it there.

    dbt reads neither our state nor `.env`, so the address that the profile has for want of
    INGEST_BIGQUERY_ENDPOINT becomes the stack's. Nothing else in the file is touched; where it is
    missing, it is copied from its example.
    """
    target, example = folder / PROFILES, folder / PROFILES_EXAMPLE
    if example.exists() and not target.exists():
        shutil.copyfile(example, target)
        say(f"{PROFILES} written from {PROFILES_EXAMPLE}")
    if not target.exists():
        return False
    text = target.read_text(encoding="utf-8")
    pointed, found = _DEFAULT_ENDPOINT.subn(rf"\g<1>{endpoint}\g<2>", text)
    if pointed != text:
        target.write_text(pointed, encoding="utf-8")
        say(f"{PROFILES}: dbt goes to {endpoint}")
    return found > 0
