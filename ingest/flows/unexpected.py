"""Errors that nobody foresaw, as the failure of the one conversation that brought them out."""

from __future__ import annotations

import traceback
from pathlib import PurePath

from ingest.errors import RemoteError


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
