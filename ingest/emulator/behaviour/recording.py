"""Calls written to a file, and answered from it again.

One JSON object a line: method, request, status, message, response; messages are serialized and in
base64. A file holds conversations as they were sent: treat it like the data.
"""

from __future__ import annotations

import base64
from collections import deque
from pathlib import Path
from typing import Any

import orjson

from ingest.emulator.problems import failed_precondition
from ingest.errors import InputError


class Recorder:
    """Appends every call to a file; a line is written when the call is answered."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab", buffering=0)

    def write(
        self, method: str, request: bytes, status: str, message: str, response: bytes
    ) -> None:
        """Append one call."""
        line = {
            "method": method,
            "request": base64.b64encode(request).decode(),
            "status": status,
            "message": message,
            "response": base64.b64encode(response).decode(),
        }
        self._file.write(orjson.dumps(line) + b"\n")

    def close(self) -> None:
        """Give the file back."""
        self._file.close()


class Replay:
    """Answers a request as the recording did: the n-th equal request gets the n-th answer, and
    further ones the last."""

    def __init__(self, path: Path) -> None:
        self._answers: dict[tuple[str, bytes], deque[tuple[str, str, bytes]]] = {}
        try:
            lines = path.read_bytes().splitlines()
            for line in lines:
                self._add(orjson.loads(line))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{path} is no recording of calls", "give a file that --record wrote"
            ) from error

    def answer(self, method: str, request: bytes) -> tuple[str, str, bytes]:
        """Return status, message and response; FAILED_PRECONDITION for an unknown request."""
        answers = self._answers.get((method, request))
        if not answers:
            raise failed_precondition(f"This {method} request is not in the recording.")
        return answers.popleft() if len(answers) > 1 else answers[0]

    def _add(self, line: dict[str, Any]) -> None:
        key = (str(line["method"]), base64.b64decode(line["request"]))
        answer = (str(line["status"]), str(line["message"]), base64.b64decode(line["response"]))
        self._answers.setdefault(key, deque()).append(answer)
