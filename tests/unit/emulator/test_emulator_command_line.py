"""The command line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ingest.emulator.__main__ import main
from ingest.emulator.annotator_process import LocalAnnotators
from ingest.emulator.options import EmulatorOptions, parse_options
from ingest.emulator.pytest_plugin import RunningEmulator
from ingest.errors import InputError

NEEDED = ["--data-dir", "d", "--gcs-endpoint", "http://127.0.0.1:1"]


def test_only_folder_and_storage_are_needed() -> None:
    assert parse_options(NEEDED) == EmulatorOptions(Path("d"), "http://127.0.0.1:1")


def test_every_switch_has_an_option() -> None:
    given = [
        *NEEDED, "--port", "9", "--bigquery-endpoint", "http://127.0.0.1:2", "--project-number",
        "12", "--project-id", "p", "--analysis-latency", "14s", "--operation-latency",
        "UploadConversation=250ms", "--latency", "GetConversation=2m", "--latency", "*=1h",
        "--quotas", "real", "--fault-plan", "f.yaml", "--seed", "s", "--record", "r", "--replay",
        "q",
    ]  # fmt: skip
    assert parse_options(given) == EmulatorOptions(
        data_dir=Path("d"),
        gcs_endpoint="http://127.0.0.1:1",
        port=9,
        bigquery_endpoint="http://127.0.0.1:2",
        project_number="12",
        project_id="p",
        seed="s",
        quotas="real",
        fault_plan=Path("f.yaml"),
        call_latency={"GetConversation": 120_000_000, "*": 3_600_000_000},
        operation_latency={
            "UploadConversation": 250_000,
            "CreateAnalysis": 14_000_000,
            "BulkAnalyzeConversations": 14_000_000,
        },
        record=Path("r"),
        replay=Path("q"),
    )


@pytest.mark.parametrize(
    "bad", [["--analysis-latency", "soon"], ["--latency", "14s"], ["--quotas", "half"]]
)
def test_a_wrong_option_is_a_usage_error(
    bad: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        parse_options([*NEEDED, *bad])
    assert caught.value.code == 2
    assert bad[0] in capsys.readouterr().err


def test_a_taken_port_is_two_clear_lines(
    ci_emulator: RunningEmulator,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The tests' process has threads, so it must not fork.
    monkeypatch.setattr("ingest.emulator.__main__.AnnotatorProcess", LocalAnnotators)
    port = ci_emulator.address.rpartition(":")[2]
    given = ["--data-dir", str(tmp_path), "--gcs-endpoint", "http://127.0.0.1:1", "--port", port]
    assert main(given) == InputError.exit_code
    assert capsys.readouterr().err == (
        f"error: port {port} on 127.0.0.1 is taken\nhint:  give another --port\n"
    )


def test_a_fault_plan_that_can_not_be_read_is_one_clear_line(tmp_path: Path) -> None:
    given = ["--data-dir", str(tmp_path), "--gcs-endpoint", "http://127.0.0.1:1", "--fault-plan"]
    done = subprocess.run(
        [sys.executable, "-m", "ingest.emulator", *given, str(tmp_path / "no.yaml")],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"error: the fault plan {tmp_path / 'no.yaml'} can't be read\n"
