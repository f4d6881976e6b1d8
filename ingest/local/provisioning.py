"""What fills a stack that answers: bucket, datasets and raw tables from `ingest/schemas`, phrase
matchers from the seeds, and dbt's profile.

In the cloud Terraform creates them from the same files, and nothing of this runs."""

from __future__ import annotations

import contextlib
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ingest.errors import SettingsError
from ingest.local.layout import Layout, Service
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


@dataclass(frozen=True)
class Step:
    """One step: its name, the services it needs, and what it does; the result is shown."""

    name: str
    needs: frozenset[Service]
    run: Callable[[Settings], object]


def apply_phrase_matchers(settings: Settings) -> str:
    """Make the CI emulator hold the phrase matchers of the seeds; Terraform's part in the cloud."""
    if not (settings.seeds_dir / "phrase_matchers.csv").exists():
        return f"none defined in {settings.seeds_dir}"
    from ingest.cli._context import run
    from ingest.cli.matchers import apply_to

    outcomes = run(apply_to(settings))
    for outcome in outcomes:
        if outcome.error is not None:
            raise outcome.error
    counts = Counter(outcome.change.kind.value for outcome in outcomes)
    return ", ".join(f"{kind} {count}" for kind, count in sorted(counts.items()))


STEPS = (
    Step("bucket and tables", frozenset({Service.GCS, Service.BIGQUERY}), provision),
    Step("phrase matchers", frozenset(Service), apply_phrase_matchers),
)


def begin_to_import_clients() -> None:
    """Import Google's clients in a thread: that takes as long as the services' start."""
    threading.Thread(target=import_clients, daemon=True).start()


def run_first_steps(layout: Layout, state: StackState, say: Callable[[str], None]) -> Settings:
    """Run every step whose services run, each safe to repeat; return settings for this stack."""
    settings = local_settings(layout, state)
    services = {Service(name) for name in state.services}
    for step in STEPS:
        if step.needs <= services:
            say(f"{step.name}: {step.run(settings)}")
    return settings


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


def copy_profiles(folder: Path, say: Callable[[str], None]) -> None:
    """Write dbt's profiles.yml from its example when it is missing; never over another."""
    target, example = folder / PROFILES, folder / PROFILES_EXAMPLE
    if example.exists() and not target.exists():
        shutil.copyfile(example, target)
        say(f"{PROFILES} written from {PROFILES_EXAMPLE}")
