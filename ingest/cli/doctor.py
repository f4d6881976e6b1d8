"""`ingest doctor`."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import typer

from ingest.cli._console import styled
from ingest.cli._context import SystemClock, landing_of, new_run_id, open_services, run
from ingest.cli._options import AsJson
from ingest.cli._output import print_json, printable
from ingest.domain.as_code import ChangeKind
from ingest.domain.raw_records import RAW_TABLES
from ingest.errors import ExitCode, IngestError
from ingest.flows.landing import raw_schema
from ingest.flows.matchers import plan_matchers, read_definitions
from ingest.flows.services import Silent
from ingest.gcp.diagnosis import Check, Diagnosis, Verdict
from ingest.settings import Settings, load_settings, setting_origins


def doctor(as_json: AsJson = False) -> None:
    """Check settings, credentials, APIs, bucket, datasets, tables, Insights, clock; name each cure.

    Exits with 3 when anything has to be cured.

    Example: ingest doctor
    """

    raise typer.Exit(int(execute(as_json=as_json)))


_PACKAGES = (
    "conversation-coach",
    "google-cloud-storage",
    "google-cloud-bigquery",
    "google-cloud-contact-center-insights",
    "dbt-core",
    "dbt-bigquery",
)


@dataclass(frozen=True)
class ShownSetting:
    """An effective setting as text, and where it comes from."""

    value: str
    origin: str


@dataclass(frozen=True)
class Diagnosed:
    """What `--json` prints."""

    settings: Mapping[str, ShownSetting]
    versions: Mapping[str, str]
    checks: tuple[Check, ...]


def execute(*, as_json: bool) -> ExitCode:
    """Print settings with their origin, versions and checks; return the exit code."""
    settings = load_settings()
    origins = setting_origins(settings)
    versions = {"python": platform.python_version()} | {name: _version(name) for name in _PACKAGES}
    diagnosis = Diagnosis(
        settings, {name: raw_schema(name) for name in RAW_TABLES}, SystemClock().now
    )
    checks = [*diagnosis.checks(), *map(_ci, _regions(settings))]
    if as_json:
        shown = {name: ShownSetting(*held) for name, held in origins.items()}
        print_json(Diagnosed(shown, versions, tuple(checks)))
    else:
        for name, (value, origin) in origins.items():
            typer.echo(f"{name:<26} {value:<34} {origin}")
        typer.echo("")
        for name, version in versions.items():
            typer.echo(f"{name:<36} {version}")
        typer.echo("")
        _print(checks)
    failed = any(check.verdict is Verdict.FAILED for check in checks)
    return ExitCode.SETTINGS if failed else ExitCode.OK


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"  # the sidecar runs without dbt


def _regions(settings: Settings) -> Sequence[Settings]:
    """Return the settings of each region of Insights."""
    places = settings.places
    return [settings] if len(places) == 1 else [settings.at(each) for each in places]


def _ci(settings: Settings) -> Check:
    async def work() -> str:
        async with open_services(settings, Silent()) as real:
            attempts, _ = landing_of(real, settings, new_run_id())
            definitions = read_definitions(settings.seeds_dir)
            changes = await plan_matchers(real.insights, attempts, definitions)
            open_ = [change for change in changes if change.kind is not ChangeKind.KEEP]
            return "answers; phrase matchers " + (
                "differ from the seeds" if open_ else "equal the seeds"
            )

    name, of_region = "Insights", ""
    if settings.region:
        name, of_region = f"Insights in {settings.region}", f"INGEST_REGION={settings.region} "
    try:
        detail = run(work())
    except IngestError as error:
        return Check(name, Verdict.FAILED, error.message, error.hint)
    if "differ" in detail:
        return Check(name, Verdict.FAILED, detail, f"run `{of_region}ingest matchers apply`")
    return Check(name, Verdict.OK, detail)


def _print(checks: Sequence[Check]) -> None:
    for check in checks:
        color = {Verdict.OK: typer.colors.GREEN, Verdict.FAILED: typer.colors.RED}
        verdict = styled(f"{check.verdict.value:<7}", fg=color.get(check.verdict))
        typer.echo(f"{verdict} {check.name}: {printable(check.detail)}")
        if check.verdict is Verdict.FAILED and check.cure:
            typer.echo(f"        cure: {check.cure}")
