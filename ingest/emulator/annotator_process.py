"""Annotators in a process of their own, so that a second core shares the work.

An analysis is a pure function of transcript, selector and matchers, and takes longer than all the
rest of a call. The process is forked before the server starts any thread, and ends when the
emulator does, whatever ends it: its end of the socket reads end-of-file.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import socket
from collections import deque
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import NamedTuple, Protocol

from ingest.emulator import protos
from ingest.emulator.analysis.annotate import ActiveMatchers, Findings, annotate
from ingest.emulator.analysis.lexicon import analyzer
from ingest.emulator.analysis.turns import read_turns
from ingest.emulator.phrase_matchers import active_matcher

logger = logging.getLogger(__name__)

_BUFFER_BYTES = 192 * 1024
_IN_FLIGHT_BYTES = 96 * 1024
"""Half of what the socket takes, so that sending a job never waits while another is worked on."""


class Job(NamedTuple):
    """One analysis to make."""

    conversation_name: str
    transcript: bytes
    """A Conversation.Transcript message."""
    selector: bytes
    """An AnnotatorSelector message."""
    matchers: tuple[bytes, ...]
    """PhraseMatcher messages."""


class Annotators(Protocol):
    """Makes analyses."""

    async def findings(self, job: Job) -> Findings:
        """Return what the annotators find."""

    def close(self) -> None:
        """Give back what is held."""


class LocalAnnotators:
    """The annotators in this process."""

    def __init__(self) -> None:
        self._bodies: tuple[bytes, ...] = ()
        self._matchers = ActiveMatchers()

    async def findings(self, job: Job) -> Findings:
        """Return what the annotators find."""
        return self.annotate(job)

    def annotate(self, job: Job) -> Findings:
        """Return what the annotators find; matchers are compiled when they change."""
        if self._bodies != job.matchers:
            self._matchers = ActiveMatchers([active_matcher(body) for body in job.matchers])
            self._bodies = job.matchers
        selector = protos.AnnotatorSelector.FromString(job.selector)
        turns = read_turns(job.transcript)
        return annotate(job.conversation_name, turns, selector, self._matchers)

    def close(self) -> None:
        """Nothing is held."""


class AnnotatorProcess:
    """The annotators in a forked process; made before any thread and any event loop.

    A process that has died is done without: the work is done here then.
    """

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        for end in (ours, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)
        self._process = get_context("fork").Process(target=_run, args=(theirs, ours), daemon=True)
        self._process.start()
        theirs.close()
        self._connection: Connection | None = Connection(ours.detach())
        self._here = LocalAnnotators()
        self._waiting: deque[_Waiting] = deque()
        self._in_flight: deque[_Waiting] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        """The loop that reads the answers."""

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid or 0

    async def findings(self, job: Job) -> Findings:
        """Return what the annotators find."""
        loop = asyncio.get_running_loop()
        if self._connection is not None and self._loop is None:
            loop.add_reader(self._connection.fileno(), self._receive)
            self._loop = loop
        size = len(job.transcript) + sum(map(len, job.matchers))
        waiting = _Waiting(job, size, loop.create_future())
        self._waiting.append(waiting)
        self._send()
        return await waiting.future

    def close(self) -> None:
        """End the process; what it was working on is lost."""
        if self._connection is not None:
            self._let_go(self._connection)
        self._process.join()

    def _send(self) -> None:
        """Give the process what it can take: one job of any size, or several small ones."""
        while self._waiting:
            waiting = self._waiting[0]
            busy = sum(each.size for each in self._in_flight)
            if busy and busy + waiting.size > _IN_FLIGHT_BYTES:
                return
            self._waiting.popleft()
            self._in_flight.append(waiting)
            if self._connection is None:
                self._work_here()
                continue
            try:
                self._connection.send(waiting.job)
            except OSError:
                self._lose(self._connection)

    def _receive(self) -> None:
        """Take one answer; None means that the process could not make it."""
        connection = self._connection
        if connection is None:
            return
        try:
            found: Findings | None = connection.recv()
        except (EOFError, OSError):
            self._lose(connection)
            return
        if found is None:
            self._work_here(1)
        else:
            _answer(self._in_flight.popleft(), found)
        self._send()

    def _lose(self, connection: Connection) -> None:
        logger.warning("the process of the annotators has ended; going on without it")
        self._let_go(connection)
        self._work_here()
        self._send()

    def _let_go(self, connection: Connection) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.remove_reader(connection.fileno())
        self._connection = None
        connection.close()

    def _work_here(self, count: int | None = None) -> None:
        """Do the oldest jobs in flight in this process."""
        for _ in range(len(self._in_flight) if count is None else count):
            waiting = self._in_flight.popleft()
            try:
                _answer(waiting, self._here.annotate(waiting.job))
            except Exception as error:  # noqa: BLE001 (told to the caller that waits)
                if not waiting.future.done():
                    waiting.future.set_exception(error)


class _Waiting(NamedTuple):
    job: Job
    size: int
    future: asyncio.Future[Findings]


def _answer(waiting: _Waiting, found: Findings) -> None:
    """Tell the caller, unless the call was cancelled."""
    if not waiting.future.done():
        waiting.future.set_result(found)


def _run(theirs: socket.socket, ours: socket.socket) -> None:
    """Work until the emulator is gone; it alone hears the signals of a terminal."""
    ours.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    analyzer()
    gc.freeze()
    with Connection(theirs.detach()) as connection:
        work_off(connection)


def work_off(connection: Connection) -> None:
    """Answer jobs until the other end is closed; None where the annotators break."""
    annotators = LocalAnnotators()
    with suppress(EOFError, OSError):
        while True:
            job: Job = connection.recv()
            try:
                found = annotators.annotate(job)
            except Exception:  # noqa: BLE001 (the emulator repeats it, and says what broke)
                connection.send(None)
            else:
                connection.send(found)
