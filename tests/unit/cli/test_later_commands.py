"""Commands before they reach a flow, and how they end."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ingest.cli import app
from ingest.cli.forget import drop_pages
from ingest.cli.reanalyze import report_without_work
from ingest.domain.outcome import Failure, Step
from ingest.errors import ExitCode, InputError
from ingest.flows.evidence import FORGOTTEN_IN_CI
from ingest.flows.reanalyze import Selected
from ingest.flows.source import LocalSource


def test_destroying_matchers_without_a_terminal_wants_consent_in_words() -> None:
    result = CliRunner().invoke(app, ["matchers", "destroy"])

    assert result.exit_code == ExitCode.USAGE
    assert "hint:  add --yes" in result.output


def test_a_source_name_that_no_file_can_have_is_a_usage_error() -> None:
    with pytest.raises(InputError, match="isn't a folder"):
        LocalSource(Path("x" * 5000))


def test_what_is_not_found_fails_a_dry_reanalysis_too() -> None:
    report = report_without_work(Selected([], ["nope"], ["gone"]))

    assert report.exit_code is ExitCode.SOME_FAILED
    assert report.failures == [
        Failure("nope", Step.ANALYSE, "NOT_FOUND", "Insights holds no conversation of this id"),
        Failure("gone", Step.ANALYSE, "FORGOTTEN", FORGOTTEN_IN_CI),
    ]
    assert report_without_work(Selected()).exit_code is ExitCode.OK


@pytest.mark.parametrize(
    "command",
    [["pull"], ["matchers", "apply"], ["matchers", "destroy"]],
)
def test_commands_that_change_something_have_a_dry_run(command: list[str]) -> None:
    result = CliRunner().invoke(app, [*command, "--help"])

    assert "--dry-run" in result.stdout


def test_a_sigterm_before_any_flow_listens_ends_in_130() -> None:
    code = (
        "import os, signal, typer\n"
        "from ingest.cli import app, main\n"
        "@app.command()\n"
        "def hang() -> None:\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    signal.pause()\n"
        "main()\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", code, "hang"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert (done.returncode, signal.SIGTERM.value) == (130, 15), done.stderr


@pytest.mark.parametrize("sent", ["SIGINT", "SIGTERM"])
def test_a_signal_ends_a_command_whose_thread_waits_for_a_service(sent: str) -> None:
    code = (
        "import asyncio, os, signal, threading\n"
        "from ingest.cli._console import prompt_interrupts\n"
        # A shell's background job ignores it, and hands that on to the tests.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "async def ask() -> None:\n"
        "    asking = asyncio.create_task(asyncio.to_thread(threading.Event().wait))\n"
        f"    asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.{sent})\n"
        "    await asking\n"
        "with prompt_interrupts(longest_sec=0.2):\n"
        "    asyncio.run(ask())\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )

    assert done.returncode == 130, done.stderr


def test_the_signal_handlers_are_put_back_for_those_who_call_the_app(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def handlers() -> list[Any]:
        return [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]

    found: list[list[Any]] = []
    monkeypatch.setattr("ingest.cli.app", lambda **_: found.append(handlers()))
    before = handlers()
    from ingest.cli import main

    main()

    assert found != [before]
    assert handlers() == before


def test_forget_deletes_a_site_and_nothing_else(tmp_path: Path) -> None:
    site, other = tmp_path / "site", tmp_path / "other"
    for folder in (site, other):
        folder.mkdir()
        (folder / "index.html").write_text("words")
    (site / "pages.json").write_text("{}")

    assert (drop_pages(site), drop_pages(other), drop_pages(site)) == (True, False, False)
    assert [path.name for path in tmp_path.iterdir()] == ["other"]
