"""Calls written to a file, and answered from it again.

One JSON object a line: method, request, status, message, response, details; messages are serialized
and in base64. A file holds conversations as they were sent: treat it like the data. A last line
without end was being written when the emulator was killed; its call was never answered.
"""

from __future__ import annotations

import base64
from collections import deque
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from ingest.emulator.problems import failed_precondition
from ingest.errors import InputError

_LINE_START = b'{"method":'


class Answer(NamedTuple):
    """How a call was answered; `response` is a serialized message, `details` a Status or empty."""

    status: str
    message: str
    response: bytes
    details: bytes


class Recorder:
    """Appends every call to a file; a line is written when the call is answered."""

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("ab", buffering=0)
            self._drop_torn_line(path.read_bytes())
        except OSError as error:
            raise InputError(
                f"the recording {path} can't be written ({error.strerror})", "give another --record"
            ) from error

    def write(self, method: str, request: bytes, answer: Answer) -> None:
        """Append one call."""
        line = {
            "method": method,
            "request": base64.b64encode(request).decode(),
            "status": answer.status,
            "message": answer.message,
            "response": base64.b64encode(answer.response).decode(),
            "details": base64.b64encode(answer.details).decode(),
        }
        self._file.write(orjson.dumps(line) + b"\n")

    def close(self) -> None:
        """Give the file back."""
        self._file.close()

    def _drop_torn_line(self, content: bytes) -> None:
        whole = _whole_lines(content)
        if content[len(whole) :].startswith(_LINE_START):
            self._file.truncate(len(whole))


class Replay:
    """Answers a request as the recording did: the n-th equal request gets the n-th answer, and
    further ones the last."""

    def __init__(self, path: Path) -> None:
        self._answers: dict[tuple[str, bytes], deque[Answer]] = {}
        try:
            for line in _whole_lines(path.read_bytes()).splitlines():
                self._add(orjson.loads(line))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{path} is no recording of calls", "give a file that --record wrote"
            ) from error

    def answer(self, method: str, request: bytes) -> Answer:
        """Return the answer; FAILED_PRECONDITION for an unknown request."""
        answers = self._answers.get((method, request))
        if not answers:
            raise failed_precondition(f"This {method} request is not in the recording.")
        return answers.popleft() if len(answers) > 1 else answers[0]

    def _add(self, line: dict[str, Any]) -> None:
        key = (str(line["method"]), base64.b64decode(line["request"]))
        answer = Answer(
            str(line["status"]),
            str(line["message"]),
            base64.b64decode(line["response"]),
            base64.b64decode(line.get("details", "")),
        )
        self._answers.setdefault(key, deque()).append(answer)


def _whole_lines(content: bytes) -> bytes:
    return content[: content.rfind(b"\n") + 1]
