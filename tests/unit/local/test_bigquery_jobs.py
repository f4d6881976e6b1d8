from __future__ import annotations

from threading import Event, Thread
from types import SimpleNamespace

import duckdb
import pytest
from local_bigquery import errors
from local_bigquery.errors import BigQueryError
from local_bigquery.models import Job

from ingest.local.bigquery.jobs import (
    MOST_COMMITS,
    one_at_a_time,
    with_job_in_commits,
    with_marked_commit,
    with_own_troubles,
    with_start_at_once,
)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (
            duckdb.TransactionException("TransactionContext Error: Conflict on commit"),
            "backendError",
        ),
        (duckdb.IOException("IO Error: No space left on device"), "backendError"),
        (duckdb.DependencyException("Dependency Error: subject has been deleted"), "backendError"),
        (duckdb.FatalException("FATAL Error: database has been invalidated"), "backendError"),
        (duckdb.BinderException("Binder Error: aggregate in where"), "invalidQuery"),
        (duckdb.ConversionException("Conversion Error: bad cast"), "invalidQuery"),
        (duckdb.ConstraintException("Constraint Error: NOT NULL failed"), "invalidQuery"),
        (duckdb.InvalidInputException("Invalid Input Error: told by error()"), "invalidQuery"),
    ],
)
def test_only_what_a_query_does_wrong_is_its_fault(error: duckdb.Error, reason: str) -> None:
    assert with_own_troubles(errors.from_duckdb)(error).reason == reason


def test_a_job_is_written_as_running_and_as_done_and_not_between() -> None:
    written = []
    save = with_start_at_once(lambda job: written.append(job) or job)
    pending = Job(status={"state": "PENDING"}, statistics={"creationTime": "1"})
    running = Job(status={"state": "RUNNING"}, statistics={"creationTime": "1", "startTime": "2"})
    done = running.replace(status={"state": "DONE"})

    assert [save(job) for job in (pending, running, done)] == [pending, running, done]
    began = running.replace(statistics={"creationTime": "1", "startTime": "1"})
    assert written == [began, done]


JOB = SimpleNamespace(
    jobReference=SimpleNamespace(projectId="p", jobId="job-1"),
    configuration=SimpleNamespace(
        load=SimpleNamespace(destinationTable=SimpleNamespace(projectId="p"))
    ),
)
MARK = """CALL "p".set_commit_message('load', 'p:job-1')"""
CONFLICT = duckdb.TransactionException(
    "Failed to commit: another transaction has dropped it already"
)
UNREADABLE = UnicodeDecodeError("utf-8", b"\x9b", 0, 1, "invalid start byte")
WRITE = ["BEGIN", MARK, "rows"]


class Cursor:
    """As DuckDB does: a commit that fails ends its transaction, and then there is none to end."""

    def __init__(self, conflicts: int, error: Exception = CONFLICT) -> None:
        self.statements: list[str] = []
        self._conflicts = conflicts
        self._error = error
        self._is_open = False

    def execute(self, statement: str) -> None:
        self.statements.append(statement)
        if statement == "ROLLBACK" and not self._is_open:
            raise duckdb.TransactionException("cannot rollback - no transaction is active")
        if statement in ("BEGIN", "COMMIT", "ROLLBACK"):
            self._is_open = statement == "BEGIN"
        if statement == "COMMIT" and self._conflicts:
            self._conflicts -= 1
            raise self._error


def load(cursor: Cursor, rows: str = "rows") -> None:
    """Write rows as a load job does."""
    write = with_marked_commit(lambda cursor, query, name: cursor.execute(query))
    with_job_in_commits(lambda job, job_type: write(cursor, rows, "t"))(JOB, "load")


@pytest.mark.parametrize("error", [CONFLICT, UNREADABLE], ids=["readable", "unreadable"])
def test_a_load_whose_commit_met_another_is_done_again(error: Exception) -> None:
    cursor = Cursor(conflicts=2, error=error)

    load(cursor)

    failed = [*WRITE, "COMMIT", "ROLLBACK"]
    assert cursor.statements == [*failed, *failed, *WRITE, "COMMIT"]


def test_a_load_that_always_meets_another_may_be_tried_again_by_its_client() -> None:
    cursor = Cursor(conflicts=MOST_COMMITS)

    with pytest.raises(BigQueryError) as caught:
        load(cursor)

    assert (caught.value.reason, caught.value.message) == ("backendError", str(CONFLICT))
    assert cursor.statements.count("COMMIT") == MOST_COMMITS


def test_a_load_of_bad_rows_is_given_up_at_once() -> None:
    cursor = Cursor(conflicts=0)

    def refuse(cursor: Cursor, query: str, name: str) -> None:
        raise duckdb.ConversionException("no number")

    with pytest.raises(duckdb.ConversionException, match="no number"):
        with_job_in_commits(lambda job, _: with_marked_commit(refuse)(cursor, "rows", "t"))(
            JOB, "load"
        )

    assert cursor.statements == ["BEGIN", MARK, "ROLLBACK"]


def test_a_job_waits_until_one_of_another_kind_has_ended() -> None:
    entered, other_entered, may_end = Event(), Event(), Event()

    def run(begins: Event) -> bool:
        begins.set()
        return may_end.wait(timeout=10)

    query, load = one_at_a_time(run), one_at_a_time(run)
    threads = Thread(target=query, args=(entered,)), Thread(target=load, args=(other_entered,))
    threads[0].start()
    assert entered.wait(timeout=10)
    threads[1].start()
    entered_at_once = other_entered.wait(timeout=0.1)
    may_end.set()
    for thread in threads:
        thread.join(timeout=10)

    assert (entered_at_once, other_entered.is_set()) == (False, True)
