"""Runs the diagnosis and shows it, red lines with their cure."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Sequence

import typer

from ingest.cli._context import SystemClock, landing_of, new_run_id, outside, run
from ingest.cli._report import echo_json, printable
from ingest.domain.matchers import ChangeKind
from ingest.domain.raw_records import RAW_TABLES
from ingest.errors import ExitCode, IngestError
from ingest.flows.landing import raw_schema
from ingest.flows.matchers import plan_matchers, read_definitions
from ingest.flows.progress import Silent
from ingest.gcp.diagnosis import Check, Diagnosis, Verdict
from ingest.settings import Settings, load_settings, setting_origins

_PACKAGES = (
    "conversation-coach",
    "google-cloud-storage",
    "google-cloud-bigquery",
    "google-cloud-contact-center-insights",
    "dbt-core",
    "dbt-bigquery",
)


def execute(*, as_json: bool) -> ExitCode:
    """Print settings with their origin, versions and checks; return the exit code."""
    settings = load_settings()
    origins = setting_origins(settings)
    versions = {"python": platform.python_version()} | {
        name: importlib.metadata.version(name) for name in _PACKAGES
    }
    diagnosis = Diagnosis(
        settings, {name: raw_schema(name) for name in RAW_TABLES}, SystemClock().now
    )
    checks = [*diagnosis.checks(), _ci(settings)]
    if as_json:
        echo_json(
            {
                "settings": {
                    name: {"value": value, "origin": origin}
                    for name, (value, origin) in origins.items()
                },
                "versions": versions,
                "checks": [
                    {
                        "name": check.name,
                        "verdict": check.verdict.value,
                        "detail": check.detail,
                        "cure": check.cure,
                    }
                    for check in checks
                ],
            }
        )
    else:
        for name, (value, origin) in origins.items():
            typer.echo(f"{name:<26} {value:<34} {origin}")
        typer.echo("")
        typer.echo("  ".join(f"{name} {version}" for name, version in versions.items()))
        typer.echo("")
        _print(checks)
    failed = any(check.verdict is Verdict.FAILED for check in checks)
    return ExitCode.SETTINGS if failed else ExitCode.OK


def _ci(settings: Settings) -> Check:
    async def work() -> str:
        async with outside(settings, Silent()) as real:
            attempts, _ = landing_of(real, settings, new_run_id())
            definitions = read_definitions(settings.seeds_dir)
            changes = await plan_matchers(real.insights, attempts, definitions)
            open_ = [change for change in changes if change.kind is not ChangeKind.KEEP]
            return f"answers; phrase matchers {'differ' if open_ else 'equal'} the seeds"

    try:
        detail = run(work())
    except IngestError as error:
        return Check("CI", Verdict.FAILED, error.message, error.hint)
    if "differ" in detail:
        return Check("CI", Verdict.FAILED, detail, "run `ingest matchers apply`")
    return Check("CI", Verdict.OK, detail)


def _print(checks: Sequence[Check]) -> None:
    for check in checks:
        color = {Verdict.OK: typer.colors.GREEN, Verdict.FAILED: typer.colors.RED}
        verdict = typer.style(f"{check.verdict.value:<7}", fg=color.get(check.verdict))
        typer.echo(f"{verdict} {check.name}: {printable(check.detail)}")
        if check.verdict is Verdict.FAILED and check.cure:
            typer.echo(f"        cure: {check.cure}")
