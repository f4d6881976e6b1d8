"""Runs the command again and again in forked processes that end themselves at a given call.

One line of JSON on stdin asks for one run: `arguments`, `environment` and `dies_at`, the number of
the call (of the bucket, Insights or BigQuery; its beginning and its end count apart) at which the
process kills itself, 0 for never. One line on stdout says how it ended. Everything is imported
once, so a run costs what it does and no more.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import ingest.cli.push
from ingest.cli import main
from ingest.gcp.bigquery import BigQueryRawSink
from ingest.gcp.insights import GrpcInsightsApi
from ingest.gcp.storage import GcsObjectStore

_ = ingest.cli.push


class _Death:
    def __init__(self, at: int) -> None:
        self._left = at

    def come_nearer(self) -> None:
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def wrap(self, method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def call(*arguments: Any, **named: Any) -> Any:
            self.come_nearer()
            result = await method(*arguments, **named)
            self.come_nearer()
            return result

        return call


def _run(request: dict[str, Any], outputs: Path) -> None:
    """Become the command; never return."""
    for number, name in ((1, "stdout"), (2, "stderr")):
        file = os.open(outputs / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, number)
    os.environ.update(request["environment"])
    if request["dies_at"]:
        death = _Death(request["dies_at"])
        for adapter in (GcsObjectStore, GrpcInsightsApi, BigQueryRawSink):
            adapter._call = death.wrap(adapter._call)  # type: ignore[method-assign,attr-defined]
    sys.argv = ["ingest", *request["arguments"]]
    code = 99
    try:
        main()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 0
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def serve() -> None:
    """Answer requests until stdin ends."""
    with tempfile.TemporaryDirectory() as folder:
        outputs = Path(folder)
        for line in sys.stdin:
            pid = os.fork()
            if pid == 0:
                _run(json.loads(line), outputs)
            _, status = os.waitpid(pid, 0)
            answer = {
                "exit_code": os.waitstatus_to_exitcode(status),
                "stdout": (outputs / "stdout").read_text(),
                "stderr": (outputs / "stderr").read_text(),
            }
            print(json.dumps(answer), flush=True)  # noqa: T201 - the answer


if __name__ == "__main__":
    serve()
