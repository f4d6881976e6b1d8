"""What this machine refuses is one line with a cure, never a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from ingest.cli._console import ErrorGroup


def outcome(error: Exception) -> tuple[int, str]:
    app = typer.Typer(cls=ErrorGroup)

    @app.command()
    def fail() -> None:
        raise error

    @app.command()
    def other() -> None: ...

    result = CliRunner().invoke(app, ["fail"])
    return result.exit_code, result.stderr


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "no-such-folder" / "page.html"
    with pytest.raises(FileNotFoundError) as caught:
        missing.write_text("x")

    assert outcome(caught.value) == (
        2,
        f"error: {missing}: no such file or directory\n"
        "hint:  check the path, its permissions and the space on the disk\n",
    )


def test_a_disk_without_room_is_told() -> None:
    with pytest.raises(OSError, match="No space left") as caught:
        Path("/dev/full").write_text("x")

    assert outcome(caught.value) == (
        2,
        "error: a file that was to be written: no space left on device\n"
        "hint:  check the path, its permissions and the space on the disk\n",
    )


def test_threads_that_run_out_are_told_with_the_setting() -> None:
    assert outcome(RuntimeError("can't start new thread")) == (
        3,
        "error: this machine starts no more threads\n"
        "hint:  raise its limit (`ulimit -u`), or set INGEST_UPLOAD_THREADS to less\n",
    )


def test_any_other_error_is_a_bug_and_stays_one() -> None:
    assert outcome(RuntimeError("x")) == (1, "")
    assert outcome(OSError(5, "no file")) == (1, "")
