"""What every scenario uses: commands measured as processes, rounds in pairs, fitted growth.

Absolute times say little about another machine; the ratio of two programs that took turns in one
run does. So variants run A B A B …, and what is reported is the median of each.
"""

from __future__ import annotations

import json
import math
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from pathlib import Path

LONGEST_COMMAND_SEC = 3600.0
CLOCK_TICK_SEC = 0.01
"""The shortest time on cores that a system tells of."""
_SHOWN_CHARS = 2000
_MEASURED = Path(__file__).with_name("measured.py")


class Scale(StrEnum):
    """How much is measured: seconds, minutes, or as much as it takes."""

    QUICK = "quick"
    DEFAULT = "default"
    FULL = "full"


@dataclass(frozen=True)
class Usage:
    """What one run took: time on the clock, time on cores (own and of children), memory."""

    wall_sec: float
    cpu_sec: float
    peak_mb: float


@dataclass(frozen=True)
class Row:
    """One line of the results; `is_met` is None where there is no goal."""

    what: str
    ours: str
    against: str = ""
    ratio: str = ""
    goal: str = ""
    is_met: bool | None = None


@dataclass(frozen=True)
class Bench:
    """What a scenario is given."""

    scale: Scale
    rounds: int
    folder: Path
    """Scratch, removed afterwards."""
    peers: Path | None = None
    """Virtual environment of the programs compared with; None: only what the machine has."""
    say: Callable[[str], None] = field(default=lambda _: None)

    def size(self, quick: int, default: int, full: int) -> int:
        """Return the size that belongs to the scale."""
        return {Scale.QUICK: quick, Scale.DEFAULT: default, Scale.FULL: full}[self.scale]

    @property
    def peer_python(self) -> str | None:
        """The interpreter of the peers' environment, where there is one."""
        return str(self.peers / "bin" / "python") if self.peers else None


@dataclass(frozen=True)
class Scenario:
    """One question; `about` says what is compared and what to make of growth."""

    name: str
    title: str
    about: str
    run: Callable[[Bench], Iterator[Row]]
    taken: str = "one run a size"
    """How many samples its figures are of; `{rounds}` stands for the number of rounds."""
    reasons: Mapping[str, str] = field(default_factory=dict)
    """Why a row may miss its goal, by a regular expression of all of its `what`."""

    def reason(self, what: str) -> str | None:
        """Return why a row has missed its goal, None when nobody has said why."""
        found = (why for pattern, why in self.reasons.items() if re.fullmatch(pattern, what))
        return next(found, None)


class FailedCommandError(Exception):
    """A measured command ended with another exit code than 0."""


def run_command(
    command: Sequence[str], environment: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Usage:
    """Run a command to its end; raise FailedCommandError, with the end of its output, if it fails.

    Time on cores and memory are those of the process and of the children that it waited for;
    memory is that of the largest of them.
    """
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as output:
        result = Path(folder) / "result.json"
        measuring = [sys.executable, "-I", "-S", str(_MEASURED), str(result), *command]
        with _ended_with_its_children(
            subprocess.Popen(
                measuring,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=None if environment is None else dict(environment),
                cwd=cwd,
                start_new_session=True,
            )
        ) as process:
            process.wait(LONGEST_COMMAND_SEC)
        took = json.loads(result.read_text(encoding="utf-8")) if result.exists() else {}
        exit_code = took.pop("exit_code", process.returncode)
        if exit_code or not took:
            output.seek(0)
            shown = output.read().decode(errors="replace")[-_SHOWN_CHARS:]
            raise FailedCommandError(f"{' '.join(command)}: exit {exit_code}\n{shown}")
    return Usage(**took)


def finished(
    command: Sequence[str], cwd: Path | None = None, timeout_sec: float = LONGEST_COMMAND_SEC
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end and return what it printed; where it is given up, after
    `timeout_sec` or by an interrupt, the servers that it started end with it."""
    with _ended_with_its_children(
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=cwd,
            start_new_session=True,
        )
    ) as process:
        printed, errors = process.communicate(timeout=timeout_sec)
    return subprocess.CompletedProcess(command, process.returncode, printed, errors)


@contextmanager
def _ended_with_its_children(
    process: subprocess.Popen[bytes],
) -> Iterator[subprocess.Popen[bytes]]:
    """Yield the process; what it leaves running when it is given up ends with it."""
    try:
        yield process
    except BaseException:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise


@contextmanager
def serving(
    command: Sequence[str], patience_sec: float = 120.0
) -> Iterator[subprocess.Popen[bytes]]:
    """Yield a server, and end it afterwards: by SIGTERM, after `patience_sec` by SIGKILL."""
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield server
    finally:
        server.terminate()
        try:
            server.wait(patience_sec)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def paired(
    variants: Mapping[str, Callable[[int], Usage]], rounds: int, say: Callable[[str], None]
) -> dict[str, Usage]:
    """Run the variants in turn, `rounds` times; return the median of each figure by name."""
    taken: dict[str, list[Usage]] = {name: [] for name in variants}
    for number in range(rounds):
        for name, run in variants.items():
            usage = run(number)
            taken[name].append(usage)
            say(f"  {name}: {usage.wall_sec:.2f} s, {usage.cpu_sec:.2f} s of CPU")
    return {name: median_usage(usages) for name, usages in taken.items()}


def grown(
    run: Callable[[int, int], Usage], sizes: Sequence[int], rounds: int, say: Callable[[str], None]
) -> dict[int, Usage]:
    """Run every size in turn, `rounds` times; return the median of each figure by size.

    `run` is given the size and the number of the round.
    """
    variants = {f"{size:,}": partial(run, size) for size in sizes}
    return dict(zip(sizes, paired(variants, rounds, say).values(), strict=True))


def median_usage(usages: Sequence[Usage]) -> Usage:
    """Return the median of each figure."""
    return Usage(
        statistics.median(usage.wall_sec for usage in usages),
        statistics.median(usage.cpu_sec for usage in usages),
        statistics.median(usage.peak_mb for usage in usages),
    )


def fitted_exponent(costs: Mapping[int, float]) -> float:
    """Return k of cost = c * size^k, by least squares over the logarithms of at least two sizes."""
    points = [(math.log(size), math.log(cost)) for size, cost in costs.items()]
    if len(points) < 2:
        raise ValueError("growth needs at least two sizes")
    return statistics.linear_regression(*zip(*points, strict=True)).slope


def growth_row(what: str, costs: Mapping[int, float], unit: str, most: float = 1.1) -> Row:
    """Return the row of a growth; met when the exponent isn't above linear, within noise."""
    exponent = fitted_exponent(costs)
    shown = ", ".join(f"{size:,}: {cost:.3g} {unit}" for size, cost in costs.items())
    return Row(what, shown, "size^k", f"k = {exponent:.2f}", f"k ≤ {most}", exponent <= most)


def faster_row(
    what: str, ours: Usage, name: str, theirs: Usage, goal: str = "", at_least: float | None = None
) -> Row:
    """Return the row that compares time on the clock; the ratio is theirs by ours."""
    ratio = theirs.wall_sec / ours.wall_sec
    return Row(
        what,
        f"{ours.wall_sec:.2f} s",
        f"{name}: {theirs.wall_sec:.2f} s",
        f"{ratio:.2f}x",
        goal,
        None if at_least is None else ratio >= at_least,
    )
