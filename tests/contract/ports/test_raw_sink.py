from __future__ import annotations

import datetime as dt
import gzip
from collections.abc import Mapping
from typing import Any

import orjson
import pytest
from conftest_ports import Ports

from ingest.domain.conversation import FileKind, json_sha256
from ingest.domain.deliveries import FileVersion
from ingest.domain.outcome import Outcome, Step
from ingest.domain.raw_records import (
    RawRow,
    StepEvent,
    ci_conversation_row,
    event_row,
    file_row,
    matcher_row,
)
from ingest.errors import RemoteError
from ingest.flows.attempts import Attempts
from ingest.flows.evidence import Evidence, EvidenceReader, LandedState
from tests.fakes.clock import ManualClock

DAY = dt.date(2026, 1, 5)
T0 = dt.datetime(2026, 1, 5, 8, 0, 0, 123_456, tzinfo=dt.UTC)


def moment(seconds: int) -> dt.datetime:
    return T0 + dt.timedelta(seconds=seconds)


def batch(ports: Ports, name: str, *rows: Mapping[str, Any]) -> str:
    """Put rows into the bucket as a batch; return its address."""
    content = gzip.compress(b"".join(orjson.dumps(row) + b"\n" for row in rows), mtime=0)
    stored = ports.run(
        ports.store.put(
            f"batches/{ports.prefix}-{name}.json.gz",
            content,
            content_type="application/gzip",
            content_sha256="ab" * 32,
            if_generation_match=0,
        )
    )
    return f"gs://{ports.store.bucket}/{stored.name}"


def stamped(row: RawRow, landed_sec: int = 0) -> dict[str, Any]:
    landed_at = moment(landed_sec).isoformat().replace("+00:00", "Z")
    return {**row.values, "_run_id": "run-1", "_landed_at": landed_at}


def an_event(id_: str, step: Step = Step.SUBMIT, outcome: Outcome = Outcome.SUCCEEDED) -> RawRow:
    return event_row(StepEvent(id_, DAY, step, outcome, T0, T0), "run-1")


def a_file(
    ports: Ports, id_: str, generation: int, date: dt.date = DAY, sha256: str = "c1"
) -> RawRow:
    return file_row(
        conversation_id=id_,
        batch_date=date,
        kind=FileKind.METADATA,
        uri=f"gs://b/{date}/{id_}/metadata.json",
        generation=generation,
        crc32c="AAAAAA==",
        size_bytes=2,
        content_sha256=sha256,
        payload={"schema_version": "1.0", "nested": {"list": [1, 2.5, None, "ü"]}},
    )


def a_state(id_: str, updated_sec: int, profile: str | None) -> RawRow:
    return ci_conversation_row(
        conversation_id=id_,
        ci_name=f"projects/p/conversations/{id_}",
        analysis_name=None,
        annotator_profile_sha256=profile,
        labels={"metadata_sha256": "m1", "transcript_sha256": f"t{updated_sec}"},
        payload={"name": id_},
        updated_at=moment(updated_sec),
    )


def evidence(ports: Ports, *ids: str) -> Evidence:
    clock = ManualClock()
    reader = EvidenceReader(ports.store, ports.sink, Attempts(clock, 10, _rng()), clock)
    return ports.run(reader.read([(DAY, id_) for id_ in ids]))


def _rng() -> Any:
    import random

    return random.Random(1)


def load(ports: Ports, table: str, name: str, *rows: Mapping[str, Any]) -> None:
    job_id = f"ingest-{ports.prefix}-{name}"
    ports.run(ports.sink.load(table, batch(ports, name, *rows), job_id))


def test_a_batch_is_loaded_once_however_often_its_job_is_sent(ports: Ports) -> None:
    uri = batch(ports, "one", *(stamped(an_event(f"{ports.prefix}-{n}")) for n in range(3)))
    job_id = f"ingest-{ports.prefix}-1"

    first = ports.run(ports.sink.load("pipeline_events", uri, job_id))
    second = ports.run(ports.sink.load("pipeline_events", uri, job_id))

    assert (first.job_id, first.row_count) == (job_id, 3)
    assert (second.job_id, second.row_count) == (job_id, 3)
    gone = [ports.run(ports.sink.erase("pipeline_events", f"{ports.prefix}-{n}")) for n in range(4)]
    assert gone == [1, 1, 1, 0]


@pytest.mark.parametrize("fault", ["unknown", "missing"])
def test_a_row_that_does_not_fit_fails_the_whole_job_and_its_id_is_spent(
    ports: Ports, fault: str
) -> None:
    good, bad = stamped(an_event(f"{ports.prefix}-0")), stamped(an_event(f"{ports.prefix}-1"))
    bad = {**bad, "colour": "red"} if fault == "unknown" else {**bad, "event_id": None}
    uri = batch(ports, "bad", good, bad)
    codes = []
    for number in (1, 1, 2):
        with pytest.raises(RemoteError) as caught:
            ports.run(ports.sink.load("pipeline_events", uri, f"ingest-{ports.prefix}-{number}"))
        codes.append(caught.value.code)

    assert codes == ["JOB_FAILED", "JOB_FAILED_BEFORE", "JOB_FAILED"]
    assert ports.run(ports.sink.erase("pipeline_events", f"{ports.prefix}-0")) == 0


def test_a_batch_that_is_not_there_fails_the_job(ports: Ports) -> None:
    uri = f"gs://{ports.store.bucket}/batches/{ports.prefix}-none.json.gz"

    with pytest.raises(RemoteError) as caught:
        ports.run(ports.sink.load("pipeline_events", uri, f"ingest-{ports.prefix}-1"))

    assert caught.value.code == "JOB_FAILED"


def test_evidence_of_files_is_every_version_of_the_run_that_landed_it_first(ports: Ports) -> None:
    id_ = f"{ports.prefix}-a"
    later = dt.date(2026, 1, 7)
    load(
        ports,
        "conversation_files",
        "files",
        stamped(a_file(ports, id_, 30, later, "c3"), 1),
        stamped(a_file(ports, id_, 10), 2),
        stamped(a_file(ports, id_, 20, sha256="c2"), 3),
        {**stamped(a_file(ports, id_, 20, sha256="c2"), 0), "_run_id": "run-0"},
    )

    found = evidence(ports, id_)

    def version(
        generation: int, sha256: str, date: dt.date, landed_sec: int, run_id: str = "run-1"
    ) -> FileVersion:
        uri = f"gs://b/{date}/{id_}/metadata.json"
        kind, landed_at = FileKind.METADATA, moment(landed_sec)
        return FileVersion(kind, generation, uri, date, sha256, run_id, landed_at)

    versions = [
        version(10, "c1", DAY, 2),
        version(20, "c2", DAY, 0, "run-0"),
        version(30, "c3", later, 1),
    ]
    assert found.files_by_id == {id_: {(v.uri, v.generation): v for v in versions}}


def test_evidence_of_a_refused_folder_is_that_its_last_event_refuses_it(ports: Ports) -> None:
    ids = [f"{ports.prefix}-{name}" for name in "abc"]

    def event(id_: str, step: Step, outcome: Outcome, sec: int) -> dict[str, Any]:
        told = StepEvent(id_, DAY, step, outcome, moment(sec), moment(sec))
        return stamped(event_row(told, "run-1"))

    load(
        ports,
        "pipeline_events",
        "events",
        event(ids[0], Step.UPLOAD, Outcome.SUCCEEDED, 1),
        event(ids[0], Step.VALIDATE, Outcome.FAILED, 2),
        event(ids[1], Step.VALIDATE, Outcome.FAILED, 1),
        event(ids[1], Step.VALIDATE, Outcome.SUCCEEDED, 2),
        event(ids[2], Step.SUBMIT, Outcome.FAILED, 1),
    )

    assert evidence(ports, *ids).refused == {(DAY, ids[0])}


def test_evidence_of_states_is_the_one_that_ci_changed_last(ports: Ports) -> None:
    id_ = f"{ports.prefix}-a"
    load(
        ports,
        "ci_conversations",
        "states",
        stamped(a_state(id_, 50, "p2"), 1),
        stamped(a_state(id_, 40, "p1"), 2),
    )
    load(ports, "ci_conversations", "again", stamped(a_state(id_, 50, "p2"), 9))

    assert evidence(ports, id_).landed_state_by_id == {
        id_: LandedState("m1", "t50", "p2", json_sha256({"name": id_}), moment(9))
    }


def test_evidence_of_a_forgotten_one_is_its_tombstone(ports: Ports) -> None:
    ids = [f"{ports.prefix}-{name}" for name in "abc"]
    load(
        ports,
        "pipeline_events",
        "events",
        stamped(an_event(ids[0], Step.FORGET)),
        stamped(an_event(ids[1], Step.FORGET, Outcome.FAILED)),
        stamped(an_event(ids[2])),
    )

    assert evidence(ports, *ids).forgotten_ids == {ids[0]}


def test_evidence_keeps_to_its_ids_and_finds_those_that_begin_alike(ports: Ports) -> None:
    ids = [f"{ports.prefix}-{name}" for name in ("b", "b-c", "c")]
    for id_ in (f"{ports.prefix}-a", *ids, f"{ports.prefix}-d"):
        load(ports, "ci_conversations", id_, stamped(a_state(id_, 1, None)))
        ports.run(
            ports.store.put(
                f"{DAY}/{id_}/metadata.json",
                b"{}",
                content_type="application/json",
                content_sha256="ab" * 32,
                if_generation_match=0,
            )
        )

    found = evidence(ports, *reversed(ids))
    two = evidence(ports, ids[1], ids[0])

    assert sorted(found.landed_state_by_id) == ids
    assert sorted(found.objects_by_name) == sorted(f"{DAY}/{id_}/metadata.json" for id_ in ids)
    assert sorted(two.objects_by_name) == sorted(f"{DAY}/{id_}/metadata.json" for id_ in ids[:2])


def test_evidence_holds_nothing_of_those_that_lie_between_its_ids(ports: Ports) -> None:
    first, between, last = ids = [f"{ports.prefix}-{name}" for name in "abc"]
    load(ports, "ci_conversations", "states", *(stamped(a_state(id_, 1, None)) for id_ in ids))
    load(ports, "conversation_files", "files", *(stamped(a_file(ports, id_, 1)) for id_ in ids))
    load(ports, "pipeline_events", "events", *(stamped(an_event(id_, Step.FORGET)) for id_ in ids))
    for id_ in ids:
        ports.run(
            ports.store.put(
                f"{DAY}/{id_}/metadata.json",
                b"{}",
                content_type="application/json",
                content_sha256="ab" * 32,
                if_generation_match=0,
            )
        )

    found = evidence(ports, last, first)

    assert between not in found.landed_state_by_id
    assert found.forgotten_ids == {first, last}
    assert sorted(found.landed_state_by_id) == [first, last]
    assert sorted(found.files_by_id) == [first, last]
    assert sorted(found.objects_by_name) == [f"{DAY}/{i}/metadata.json" for i in (first, last)]


def test_revisions_that_are_landed_are_told_once(ports: Ports) -> None:
    row = matcher_row(
        matcher_id=ports.prefix,
        revision_id="r1",
        display_name="empathy",
        content_sha256="ab",
        payload={"name": "x"},
        revised_at=T0,
    )
    load(ports, "phrase_matchers", "one", stamped(row))
    load(ports, "phrase_matchers", "two", stamped(row, 5))
    sql = (
        f"select distinct matcher_id, revision_id from {ports.sink.table('phrase_matchers')} "
        "where _landed_at >= timestamp('2000-01-01')"
    )

    rows = [dict(r) for r in ports.run(ports.sink.query(sql, {}))]

    assert [r for r in rows if r["matcher_id"] == ports.prefix] == [
        {"matcher_id": ports.prefix, "revision_id": "r1"}
    ]


def test_erased_rows_are_those_of_one_conversation(ports: Ports) -> None:
    ids = [f"{ports.prefix}-a", f"{ports.prefix}-b"]
    rows = [stamped(a_file(ports, id_, n)) for n, id_ in enumerate([*ids, ids[0]], 1)]
    load(ports, "conversation_files", "files", *rows)

    gone = ports.run(ports.sink.erase("conversation_files", ids[0]))

    assert gone == 2
    assert set(evidence(ports, *ids).files_by_id) == {ids[1]}


def test_erasing_leaves_the_tombstone(ports: Ports) -> None:
    id_ = f"{ports.prefix}-a"
    rows = [stamped(an_event(id_)), stamped(an_event(id_, Step.FORGET))]
    load(ports, "pipeline_events", "events", *rows)

    gone = ports.run(ports.sink.erase("pipeline_events", id_))

    assert gone == 1
    assert evidence(ports, id_).forgotten_ids == {id_}
