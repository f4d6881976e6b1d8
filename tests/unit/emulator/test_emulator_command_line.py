"""The command line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from emulator_cases import own_emulator

from ingest.emulator.__main__ import main
from ingest.emulator.annotator_process import LocalAnnotators
from ingest.emulator.options import EmulatorOptions, parse_options
from ingest.emulator.pytest_plugin import RunningEmulator
from ingest.emulator.testing import ObjectServer
from ingest.errors import InputError, SettingsError

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
    "bad",
    [
        ["--analysis-latency", "soon"],
        ["--latency", "14s"],
        ["--latency", "GetConversatoin=14s"],
        ["--operation-latency", "GetConversation=14s"],
        ["--quotas", "half"],
        ["--port", "65536"],
        ["--port", "-1"],
        ["--port", "²"],
        ["--port", "9" * 5000],
        ["--gcs-endpoint", "https://127.0.0.1:1"],
        ["--gcs-endpoint", "127.0.0.1:1"],
        ["--gcs-endpoint", "http://127.0.0.1:99999"],
        ["--gcs-endpoint", "http://127.0.0.1:1/storage"],
        ["--gcs-endpoint", "http://[::1"],
        ["--bigquery-endpoint", "https://127.0.0.1:1"],
        ["--project-number", "my-project"],
        ["--project-number", "12/34"],
    ],
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


def error_of(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> tuple[int, str]:
    """Return exit code and message of a command that can't start."""
    # The tests' process has threads, so it must not fork.
    monkeypatch.setattr("ingest.emulator.__main__.AnnotatorProcess", LocalAnnotators)
    code = main([*arguments, "--gcs-endpoint", "http://127.0.0.1:1"])
    return code, capsys.readouterr().err


def test_a_folder_that_can_not_be_written_is_two_clear_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    file.write_text("no folder")
    code, said = error_of(monkeypatch, capsys, "--data-dir", str(file))
    assert (code, said) == (
        SettingsError.exit_code,
        f"error: the store {file / 'insights.sqlite3'} can't be used"
        f" ([Errno 17] File exists: '{file}')\nhint:  give another --data-dir\n",
    )


def test_a_store_that_is_none_is_two_clear_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "insights.sqlite3").write_bytes(b"no store" * 1000)
    code, said = error_of(monkeypatch, capsys, "--data-dir", str(tmp_path))
    assert (code, said) == (
        SettingsError.exit_code,
        f"error: the store {tmp_path / 'insights.sqlite3'} can't be used (file is not a database)\n"
        "hint:  give another --data-dir\n",
    )


def test_a_folder_that_another_emulator_uses_is_two_clear_lines(
    tmp_path: Path,
    ci_objects: ObjectServer,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with own_emulator(tmp_path, ci_objects):
        code, said = error_of(monkeypatch, capsys, "--data-dir", str(tmp_path))
    assert (code, said) == (
        SettingsError.exit_code,
        f"error: another Insights emulator uses {tmp_path}\n"
        "hint:  end it, or give another --data-dir\n",
    )
    with own_emulator(tmp_path, ci_objects) as emulator:
        assert list(emulator.client.list_conversations(parent=emulator.parent)) == []


def test_a_recording_that_can_not_be_written_is_two_clear_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = ["--data-dir", str(tmp_path), "--record", str(tmp_path)]
    assert error_of(monkeypatch, capsys, *given) == (
        InputError.exit_code,
        f"error: the recording {tmp_path} can't be written (Is a directory)\n"
        "hint:  give another --record\n",
    )


def test_a_fault_plan_that_is_no_text_is_one_clear_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_bytes(b"seed: \xff\xfe")
    given = ["--data-dir", str(tmp_path), "--fault-plan", str(plan)]
    assert error_of(monkeypatch, capsys, *given) == (
        InputError.exit_code,
        f"error: the fault plan {plan} can't be read\n",
    )


def test_a_fault_plan_that_can_not_be_read_is_one_clear_line(tmp_path: Path) -> None:
    given = ["--data-dir", str(tmp_path), "--gcs-endpoint", "http://127.0.0.1:1", "--fault-plan"]
    done = subprocess.run(
        [sys.executable, "-m", "ingest.emulator", *given, str(tmp_path / "no.yaml")],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"error: the fault plan {tmp_path / 'no.yaml'} can't be read\n"
