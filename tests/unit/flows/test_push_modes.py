"""Which runs analyse at all, and in bulk."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from ingest.choices import Mode
from ingest.cli import app
from ingest.domain.outcome import Step
from ingest.errors import ExitCode, InputError
from ingest.flows.push import PushOptions
from tests.fakes.folders import write_many


@pytest.mark.parametrize("until", [Step.UPLOAD, Step.SUBMIT])
def test_a_bulk_run_that_ends_before_the_analysis_is_refused(until: Step) -> None:
    with pytest.raises(InputError) as caught:
        PushOptions("run-1", until, Mode.BULK)

    assert (caught.value.message, caught.value.hint) == (
        f"--mode bulk analyses, and --until {until} ends before that",
        "leave out --mode, or give --until analyse or land",
    )


@pytest.mark.parametrize("until", [Step.ANALYSE, Step.LAND])
def test_a_bulk_run_that_reaches_the_analysis_is_admitted(until: Step) -> None:
    assert PushOptions("run-1", until, Mode.BULK).reaches_analysis


def test_the_command_refuses_it_before_it_talks_to_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_many(tmp_path, 1)
    for name in ("GCS", "BIGQUERY", "INSIGHTS"):
        monkeypatch.setenv(f"INGEST_{name}_ENDPOINT", "http://127.0.0.1:9")

    result = CliRunner().invoke(app, ["push", str(tmp_path), "--until", "upload", "--mode", "bulk"])

    assert result.exit_code == ExitCode.USAGE
    assert "--until upload ends before that" in result.output
