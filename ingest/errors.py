"""One family of errors: what is wrong, what to do about it, and the exit code it leads to."""

from __future__ import annotations

import sys
import traceback
from enum import IntEnum
from pathlib import PurePath
from typing import Final


class ExitCode(IntEnum):
    """Exit codes of every command (design: "Success is only reported from evidence").

    DRIFT is what `plan --exit-code` says when Insights differs from what is declared.
    """

    OK = 0
    SOME_FAILED = 1
    USAGE = 2
    SETTINGS = 3
    REMOTE = 4
    DRIFT = 5
    INTERRUPTED = 130


class IngestError(Exception):
    """Something the user can act on; printed as two lines, never as a traceback."""

    exit_code = ExitCode.SOME_FAILED

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class InputError(IngestError):
    """The source, an id or an argument is unusable."""

    exit_code = ExitCode.USAGE


class SettingsError(IngestError):
    """A setting is missing or contradicts another."""

    exit_code = ExitCode.SETTINGS


class AccessError(IngestError):
    """A bucket, dataset, table or permission is missing."""

    exit_code = ExitCode.SETTINGS


_NO_RIGHTS = frozenset({"PERMISSION_DENIED", "UNAUTHENTICATED"})


class RemoteError(IngestError):
    """A remote service refused, or did not answer in time.

    `code` is a gRPC status name whatever the transport was; `retry_after_sec` is what the service
    asked to wait; `attempts` is how often the call was made. A refusal for want of rights or
    credentials is a matter of settings, as where a command asks for them before it starts.
    """

    exit_code = ExitCode.REMOTE

    def __init__(
        self,
        message: str,
        hint: str = "",
        *,
        code: str = "UNKNOWN",
        retry_after_sec: float = 0.0,
        attempts: int = 1,
    ) -> None:
        super().__init__(message, hint)
        self.code = code
        if code in _NO_RIGHTS:
            self.exit_code = ExitCode.SETTINGS
        self.retry_after_sec = retry_after_sec
        self.attempts = attempts


def unexpected(error: Exception) -> RemoteError:
    """Return an error of code INTERNAL that names kind and place, without the error's own text.

    That text may quote what was said. Errors of ours come back as they are, when they're remote.
    """
    if isinstance(error, RemoteError):
        return error
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {PurePath(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return RemoteError(
        f"unexpected {type(error).__name__}{place}",
        "report this with kind and place; the other conversations went on",
        code="INTERNAL",
    )


EXTRAS: Final = {"ingest.emulator": "emulator", "ingest.local": "local"}
"""Packages of ours whose third-party packages come with an extra of pyproject.toml."""


class MissingExtraError(SettingsError):
    """A third-party package isn't installed that an extra of this project brings."""

    def __init__(self, what: str, extra: str) -> None:
        hint = f"install it with the extra `{extra}`: pip install 'conversation-coach[{extra}]'"
        if extra == "local" and sys.version_info[:2] != (3, 13):
            hint += ", on Python 3.13: the BigQuery emulator has no release for another"
        super().__init__(what, hint)


def missing_extra(error: ModuleNotFoundError) -> MissingExtraError | None:
    """Return the error that names the extra to install; None if no extra brings the module."""
    frames = (frame.f_globals["__name__"] for frame, _ in traceback.walk_tb(error.__traceback__))
    ours = [name for name in (*frames, str(error.name)) if name.startswith("ingest.")]
    folder = ".".join(ours[-1].split(".")[:2]) if ours else ""
    if folder not in EXTRAS:
        return None
    what = f"this needs the package {error.name}, which isn't installed"
    return MissingExtraError(what, EXTRAS[folder])
