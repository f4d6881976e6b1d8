"""Standard streams that are full, closed, or no longer read."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import subprocess
import sys

import pytest

_MAIN = (sys.executable, "-c", "from ingest.cli import main; main()")
_NO_ROOM = "error: the output can't be written: no space left on device\n"
_CLOSED = "error: the output can't be written: bad file descriptor\n"


def _ended(*words: str, redirection: str) -> subprocess.CompletedProcess[str]:
    """Return how the command ended whose streams a shell has redirected."""
    shell = ("bash", "-o", "pipefail", "-c", f'"$@" {redirection}', "bash")
    return subprocess.run([*shell, *_MAIN, *words], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    "words",
    [
        ("--version",),
        ("--help",),
        ("--show-completion", "bash"),
        ("show", "--help"),
        ("bq", "--help"),
        ("local", "status"),
        ("local", "status", "--json"),
    ],
    ids=" ".join,
)
def test_output_without_room_ends_in_one_line(words: tuple[str, ...]) -> None:
    done = _ended(*words, redirection="> /dev/full")

    assert (done.returncode, done.stderr) == (1, _NO_ROOM)


@pytest.mark.parametrize("words", [("--version",), ("local", "status")], ids=" ".join)
def test_a_closed_stdout_ends_in_one_line(words: tuple[str, ...]) -> None:
    done = _ended(*words, redirection=">&-")

    assert (done.returncode, done.stderr) == (1, _CLOSED)


@pytest.mark.parametrize("words", [("--version",), ("--help",), ("local", "status")], ids=" ".join)
def test_a_reader_that_has_gone_ends_without_a_word(words: tuple[str, ...]) -> None:
    # The reader is gone before the command writes: it ends at once, the command first imports.
    done = _ended(*words, redirection="| exec true")

    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")


def test_messages_without_room_leave_no_traceback_and_no_success() -> None:
    done = _ended("nonsense", redirection="2> /dev/full")

    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")


def test_messages_of_a_closed_stderr_do_not_turn_up_on_stdout() -> None:
    done = _ended("nonsense", redirection="2>&-")

    assert (done.returncode, done.stdout) == (2, "")


def test_a_closed_stdin_gives_no_consent() -> None:
    done = _ended("matchers", "destroy", redirection="<&-")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1] == "hint:  add --yes"


def test_an_error_of_another_file_is_not_blamed_on_stdout() -> None:
    code = (
        "from ingest.cli._console import broken_pipe_guard\n"
        "with broken_pipe_guard():\n"
        "    raise OSError(28, 'No space left on device')\n"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "OSError: [Errno 28] No space left on device"


_HELD_UP = """
import asyncio
import sys
from ingest.cli._context import stop_on_signals
from ingest.cli._progress import progress_for_people

async def never_answered():
    stop_on_signals(lambda: None, lambda: "upload 3 of 5", longest_sec=0.2)
    print("ready", flush=True, file=sys.__stdout__)
    await asyncio.Event().wait()

with progress_for_people() as progress:
    progress.stage("upload", 5)
    asyncio.run(never_answered())
"""


@pytest.mark.parametrize("is_terminal", [False, True], ids=["pipe", "terminal"])
def test_a_signal_ends_a_command_that_a_service_holds_up_and_says_what_is_done(
    is_terminal: bool,
) -> None:
    ours, theirs = pty.openpty() if is_terminal else os.pipe()
    with subprocess.Popen(
        [sys.executable, "-c", _HELD_UP], stdout=subprocess.PIPE, stderr=theirs
    ) as process:
        os.close(theirs)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGINT)
        code = process.wait(30)
    shown = b""
    # A terminal whose last writer has gone gives an error where a pipe gives nothing.
    with contextlib.suppress(OSError):
        while more := os.read(ours, 65_536):
            shown += more
    os.close(ours)

    told = shown.decode().replace("\r", "")
    assert code == 130
    assert "interrupted: upload 3 of 5\nrun the same command again: it goes on from here\n" in told
    assert told.rfind("\x1b[?25h") >= told.rfind("\x1b[?25l")


_INTERRUPTED_AT_AN_IMPORT = """
import os, signal, sys

interrupted = sys.argv.pop()

class Interrupts:
    def find_spec(self, name, path=None, target=None):
        if name == interrupted:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupts())
from ingest.start import main
sys.argv += ["local", "status"]
main()
"""


@pytest.mark.parametrize("module", ["typer", "ingest.cli.local", "psutil"])
def test_a_signal_while_modules_are_imported_ends_without_a_word(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _INTERRUPTED_AT_AN_IMPORT, module], capture_output=True, timeout=60
    )

    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"")
