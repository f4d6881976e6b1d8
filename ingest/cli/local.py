"""`ingest local …`: the stack of emulators on this machine."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ingest.cli._options import AsJson
from ingest.errors import ExitCode, InputError

if TYPE_CHECKING:
    from ingest.local.layout import Layout, Service
    from ingest.local.processes import StackState
    from ingest.settings import Settings

app = typer.Typer(help="Run the emulators of Cloud Storage, BigQuery and Insights on this machine.")

DataDir = Annotated[Path, typer.Option("--data-dir", help="Folder of data, logs and state.")]
_SERVICES = ("gcs", "bigquery", "ci")
_DATA_DIR = Path(".local")


@app.command()
def up(
    port_base: Annotated[
        int | None, typer.Option(help="First of six ports; 9040 unless a stack remembers one.")
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(help="Start only this service (gcs, bigquery, ci); ci brings gcs along."),
    ] = None,
    data_dir: DataDir = _DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Start the local stack and make its bucket, datasets and tables; safe to repeat.

    Example: ingest local up
    """
    layout = _layout(data_dir, port_base)
    from ingest.local import provisioning, stack

    provisioning.begin_to_import_clients()
    state = stack.up(layout, _services(only or _SERVICES), _say)
    run_first_steps(layout, state, _say)
    exports = endpoints_to_export(layout, state)
    _warn_of_another_project()
    typer.echo(_json(state) if as_json else endpoints_text(state, exports))


@app.command()
def down(data_dir: DataDir = _DATA_DIR) -> None:
    """End every process of the local stack; its data stays.

    Example: ingest local down
    """
    layout = _layout(data_dir)
    from ingest.local import stack

    ended = stack.down(layout, _say)
    typer.echo(f"ended {len(ended)} processes" if ended else "the local stack wasn't running")


@app.command()
def status(data_dir: DataDir = _DATA_DIR, as_json: AsJson = False) -> None:
    """Show each service: health, pid, port and size of its data; exit code 1 unless all are well.

    Example: ingest local status --json
    """
    layout = _layout(data_dir)
    from ingest.local.status import as_table, status

    found = status(layout)
    typer.echo(_json(found) if as_json else as_table(found))
    raise typer.Exit(ExitCode.OK if found.is_healthy else ExitCode.SOME_FAILED)


@app.command()
def vacuum(data_dir: DataDir = _DATA_DIR) -> None:
    """Rewrite the stack's data, so that no word that was deleted is left in its files.

    After `ingest forget` and a build. A running stack is ended for it, and started again.

    Example: ingest local vacuum
    """
    layout = _layout(data_dir)
    from ingest.local import stack
    from ingest.local.status import size_of

    before = size_of(layout.data_dir)
    stack.vacuum(layout, _say)
    typer.echo(f"{before / 1e6:.1f} MB before, {size_of(layout.data_dir) / 1e6:.1f} MB now")


@app.command()
def reset(
    data_dir: DataDir = _DATA_DIR,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
) -> None:
    """End the local stack and delete all its data.

    Example: ingest local reset --yes
    """
    layout = _layout(data_dir)
    from ingest.local import stack

    if not yes:
        _confirm(f"Delete all data of the local stack under {layout.data_dir}?")
    freed = stack.reset(layout, _say)
    typer.echo(f"deleted {freed / 1e6:.1f} MB")


@app.command()
def logs(
    service: Annotated[str | None, typer.Argument(help="gcs, bigquery, ci or supervisor.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new lines.")] = False,
    lines: Annotated[int, typer.Option(help="Lines of each log to begin with.")] = 50,
    data_dir: DataDir = _DATA_DIR,
) -> None:
    """Show the logs of the local stack's services.

    Example: ingest local logs bigquery
    """
    names = [*_SERVICES, "supervisor"]
    if service is not None and service not in names:
        raise InputError(f'there is no service "{service}"', f"choose one of {', '.join(names)}")
    layout = _layout(data_dir)
    from ingest.local.status import follow as followed
    from ingest.local.status import last_lines

    files = [layout.log_file(name) for name in ([service] if service else names)]
    for file in files:
        for line in last_lines(file, lines):
            typer.echo(f"{file.stem}: {line}")
    if not follow:
        return
    try:
        for file, line in followed(files):
            typer.echo(f"{file.stem}: {line}")
    except KeyboardInterrupt:
        raise typer.Exit(ExitCode.INTERRUPTED) from None


def run_first_steps(layout: Layout, state: StackState, say: Callable[[str], None]) -> Settings:
    """Fill a stack that answers, as far as its services run, each step safe to repeat; return
    settings that reach it."""
    from ingest.local.provisioning import local_settings, provision

    settings = local_settings(layout, state)
    if {"gcs", "bigquery"} <= set(state.services):
        say(f"bucket and tables: {provision(settings)}")
    if set(_SERVICES) <= set(state.services):
        say(f"phrase matchers: {_apply_phrase_matchers(settings)}")
    return settings


def _apply_phrase_matchers(settings: Settings) -> str:
    """Give the emulator the matchers of the seeds; in the cloud that is Terraform's part."""
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


def _layout(data_dir: Path, port_base: int | None = None) -> Layout:
    from ingest.local.layout import DEFAULT_PORT_BASE, Layout
    from ingest.local.processes import read_state

    absolute = data_dir.resolve()
    files = Layout(absolute)
    left = read_state(files.state_file) or read_state(files.plan_file)
    remembered = left.port_base if left else DEFAULT_PORT_BASE
    return Layout(absolute, remembered if port_base is None else port_base)


def _services(names: Sequence[str]) -> list[Service]:
    from ingest.local.layout import Service

    unknown = [name for name in names if name not in _SERVICES]
    if unknown:
        raise InputError(
            f'there is no service "{unknown[0]}"', f"choose from {', '.join(_SERVICES)}"
        )
    # Insights reads every transcript from Cloud Storage.
    wanted = {*names, "gcs"} if "ci" in names else set(names)
    return [Service(name) for name in _SERVICES if name in wanted]


def endpoints_to_export(layout: Layout, state: StackState) -> list[str]:
    """Return the endpoints that other commands and dbt don't find by themselves."""
    from ingest.local.layout import DEFAULT_DATA_DIR
    from ingest.local.provisioning import point_dbt_at

    if layout.data_dir != DEFAULT_DATA_DIR.resolve():
        return list(state.endpoints)
    endpoint = state.endpoints.get("bigquery_endpoint")
    if endpoint is None or point_dbt_at(endpoint, Path.cwd(), _say):
        return []
    return ["bigquery_endpoint"]


def endpoints_text(state: StackState, exported: Sequence[str]) -> str:
    """Return the stack's addresses, and the lines that make a shell export some of them."""
    lines = [f"{name:<18} {address}" for name, address in state.endpoints.items()]
    if "ci" in state.services:
        lines.append(f"{'Insights over REST':<18} http://127.0.0.1:{state.ports['ci_rest']}")
    exports = [f"export INGEST_{name.upper()}={state.endpoints[name]}" for name in exported]
    return "\n".join([*lines, *exports])


def _warn_of_another_project() -> None:
    from ingest.settings import LOCAL_PROJECT_ID, environment

    if environment().get("INGEST_PROJECT_ID", LOCAL_PROJECT_ID) != LOCAL_PROJECT_ID:
        _say("INGEST_PROJECT_ID is set: other commands use that project and not this stack")


def _json(value: object) -> str:
    from dataclasses import asdict

    return json.dumps(asdict(value), indent=2)  # type: ignore[call-overload]


def _confirm(question: str) -> None:
    if not sys.stdin.isatty():
        raise InputError("reset deletes data and can't ask here", "add --yes")
    if not typer.confirm(question, err=True):
        raise typer.Exit(ExitCode.USAGE)


def _say(line: str) -> None:
    typer.echo(line, err=True)
