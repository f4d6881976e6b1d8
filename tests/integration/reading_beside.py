"""Commands that read, again and again in a process of their own, beside whatever a test does."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

REPOSITORY = Path(__file__).resolve().parents[2]
_BETWEEN_SEC = 2.0
"""From one round to the next, so that what runs beside it has the machine for itself."""
_OF_THE_MOMENT = ("taken_at", "quotas", "backlog_age_hours", "landed_age_hours", "failure_percent")


@dataclass
class Seen:
    """What was read: each different answer of each command, and how often all were asked."""

    answers: dict[str, set[str]] = field(default_factory=dict)
    rounds: int = 0

    def take(self, command: str, exit_code: int, stdout: str, stderr: str) -> None:
        """Keep an answer without what differs from one moment to the next."""
        told = json.dumps(_lasting(json.loads(stdout))) if exit_code == 0 else stderr
        self.answers.setdefault(command, set()).add(told)


def _lasting(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _lasting(one) for key, one in value.items() if key not in _OF_THE_MOMENT}
    return [_lasting(one) for one in value] if isinstance(value, list) else value


@contextmanager
def reading(commands: Sequence[str], environment: Mapping[str, str]) -> Iterator[Seen]:
    """Yield what is seen, once each command has answered; it is whole behind the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.integration.reading_beside", *commands],
        cwd=REPOSITORY,
        env=dict(environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    seen, lines = Seen(), process.stdout

    def read_round() -> bool:
        for command in commands:
            line = lines.readline()
            if not line:
                return False
            seen.take(command, *json.loads(line))
        seen.rounds += 1
        return True

    def read_all() -> None:
        while read_round():
            pass

    try:
        assert read_round()
        following = threading.Thread(target=read_all)
        following.start()
        yield seen
        process.stdin.close()
        following.join(60)
    finally:
        process.kill()
        process.wait()
        lines.close()


def _serve(commands: Sequence[str]) -> None:
    """Run the commands in turn until stdin ends; one line of JSON for each."""
    from ingest.cli import app

    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    is_first = True
    while is_first or not ended.wait(_BETWEEN_SEC):
        is_first = False
        for command in commands:
            result = CliRunner().invoke(app, [*command.split(), "--json"])
            told = (result.exit_code, result.stdout, result.stderr)
            print(json.dumps(told), flush=True)  # noqa: T201 - the answer


if __name__ == "__main__":
    _serve(sys.argv[1:])
