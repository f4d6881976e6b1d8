"""What the fake raw tables answer to the queries that flows send."""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ingest.domain.raw_records import (
    CI_CONVERSATIONS,
    CONVERSATION_FILES,
    PHRASE_MATCHERS,
    PIPELINE_EVENTS,
)
from ingest.errors import RemoteError

if TYPE_CHECKING:
    from tests.fakes.sink import FakeSink

Row = dict[str, Any]
_TABLE = re.compile(r"from `local-project\.coach_raw\.(\w+)`")
_FACT_COLUMNS = (
    "conversation_id",
    "kind",
    "uri",
    "generation",
    "batch_date",
    "content_sha256",
    "metadata_sha256",
    "transcript_sha256",
    "annotator_profile_sha256",
    "payload_sha256",
)


def answer(sink: FakeSink, sql: str, parameters: Mapping[str, Any]) -> list[Row]:
    """Return the rows of one of the flows' queries."""
    for table in _TABLE.findall(sql):
        if table in sink.missing:
            raise RemoteError(f"fake: no table {table}", code="NOT_FOUND")
    for mark, found in _ANSWERS.items():
        if mark in sql:
            return found(sink, sql, parameters)
    raise AssertionError(f"the fake has no answer to this query: {sql}")


def _labels(sink: FakeSink, sql: str, parameters: Mapping[str, Any]) -> list[Row]:
    newest: dict[str, Row] = {}
    for row in sorted(sink.rows["feedback_labels"], key=lambda row: str(row["_landed_at"])):
        newest[row["label_name"]] = row
    return list(newest.values())


def _scored(sink: FakeSink, sql: str, parameters: Mapping[str, Any]) -> list[Row]:
    counts: Counter[str] = Counter()
    for row in _newest_states(sink.rows[CI_CONVERSATIONS]).values():
        analysis = row["payload"].get("latestAnalysis", {}).get("analysisResult", {})
        results = analysis.get("callAnalysisMetadata", {}).get("qaScorecardResults", ())
        counts.update({result["qaScorecardRevision"] for result in results})
    return [
        {"revision": name, "conversation_count": number} for name, number in sorted(counts.items())
    ]


def _evidence(sink: FakeSink, sql: str, parameters: Mapping[str, Any]) -> list[Row]:
    def in_range(table: str) -> list[Row]:
        first, last = parameters["first_id"], parameters["last_id"]
        ids = set(parameters["ids"])
        assert (first, last) == (min(ids), max(ids))
        return [row for row in sink.rows[table] if row["conversation_id"] in ids]

    return [
        *(_fact("file", row) for row in in_range(CONVERSATION_FILES)),
        *(_fact("state", row) for row in _newest_states(in_range(CI_CONVERSATIONS)).values()),
        *(
            _fact("forgotten", {"conversation_id": name})
            for name in sorted(_forgotten_ids(in_range(PIPELINE_EVENTS)))
        ),
        *(
            _fact("refused", row)
            for row in _latest_events(in_range(PIPELINE_EVENTS)).values()
            if (row["step"], row["outcome"]) == ("validate", "failed")
        ),
        *(
            _fact("kept_here", row)
            for row in _newest_events(in_range(PIPELINE_EVENTS)).values()
            if row["reason"] == "medium_not_for_insights"
        ),
    ]


def _of_customer(sink: FakeSink, sql: str, parameters: Mapping[str, Any]) -> list[Row]:
    fields = re.findall(r"\$\.custom\.(\w+)", sql)
    return [
        {"conversation_id": id_}
        for id_ in {
            row["conversation_id"]
            for row in sink.rows[CONVERSATION_FILES]
            for name in fields
            if (row["payload"].get("custom") or {}).get(name) in parameters["values"]
        }
    ]


def _newest_events(rows: list[Row]) -> dict[str, Row]:
    steps = [row for row in rows if row["step"] != "forget"]
    return {row["conversation_id"]: row for row in sorted(steps, key=lambda r: r["ended_at"])}


def _kept_here(sink: FakeSink, sql: str, parameters: Mapping[str, Any]) -> list[Row]:
    ids = {
        row["conversation_id"]
        for row in sink.rows[CONVERSATION_FILES]
        if row["batch_date"] == parameters["date"]
    }
    submits = [row for row in sink.rows[PIPELINE_EVENTS] if row["step"] == "submit"]
    return [
        row
        for id_, row in _newest_events(submits).items()
        if id_ in ids and row["reason"] == "medium_not_for_insights"
    ]


def _latest_events(rows: list[Row]) -> dict[tuple[str, dt.date], Row]:
    steps = [row for row in rows if row["step"] != "forget"]
    by_age = sorted(steps, key=lambda row: row["ended_at"])
    return {(row["conversation_id"], row["batch_date"]): row for row in by_age}


def _fact(fact: str, row: Row) -> Row:
    columns = {name: row.get(name) for name in _FACT_COLUMNS}
    return {
        "fact": fact,
        **columns,
        "run_id": row.get("_run_id"),
        "landed_at": row.get("_landed_at"),
    }


def _newest_states(rows: list[Row]) -> dict[str, Row]:
    newest: dict[str, Row] = {}
    for row in rows:
        held = newest.get(row["conversation_id"])
        if held is None or _age(held) < _age(row):
            newest[row["conversation_id"]] = row
    return newest


def _age(row: Row) -> tuple[dt.datetime, dt.datetime]:
    return row["ci_updated_at"], row["_landed_at"]


def _forgotten_ids(rows: list[Row]) -> set[str]:
    return {
        row["conversation_id"]
        for row in rows
        if row["step"] == "forget" and row["outcome"] in ("waiting", "succeeded")
    }


def _forgets(sink: FakeSink, sql: str, parameters: Mapping[str, Any]) -> list[Row]:
    return [
        {"outcome": row["outcome"]}
        for row in sink.rows[PIPELINE_EVENTS]
        if row["step"] == "forget" and row["conversation_id"] == parameters["conversation_id"]
    ]


def _origins(sink: FakeSink, sql: str, parameters: Mapping[str, Any]) -> list[Row]:
    found = {
        row["reason"]
        for row in sink.rows[PIPELINE_EVENTS]
        if row["conversation_id"] == parameters["conversation_id"]
        and (row["reason"] or "").startswith("from gs://")
    }
    return [{"reason": reason} for reason in sorted(found)]


def _revisions(sink: FakeSink, sql: str, parameters: Mapping[str, Any]) -> list[Row]:
    pairs = {(row["matcher_id"], row["revision_id"]) for row in sink.rows[PHRASE_MATCHERS]}
    return [{"matcher_id": m, "revision_id": r} for m, r in sorted(pairs)]


def _landed_hashes(sink: FakeSink, sql: str, parameters: Mapping[str, Any]) -> list[Row]:
    names = ("conversation_id", "payload_sha256", "ci_updated_at")
    states = {
        tuple(row[name] for name in names)
        for row in sink.rows[CI_CONVERSATIONS]
        if row["conversation_id"] in parameters["ids"]
    }
    return [dict(zip(names, state, strict=True)) for state in sorted(states)]


def _landed_analyses(sink: FakeSink, sql: str, parameters: Mapping[str, Any]) -> list[Row]:
    names = {
        row["analysis_name"]
        for row in sink.rows[CI_CONVERSATIONS]
        if row["conversation_id"] == parameters["conversation_id"] and row["analysis_name"]
    }
    return [{"analysis_name": name} for name in sorted(names)]


def _row_count(sink: FakeSink, sql: str, parameters: Mapping[str, Any]) -> list[Row]:
    (table,) = _TABLE.findall(sql)
    found = [
        row
        for row in sink.rows[table]
        if row["conversation_id"] == parameters["conversation_id"]
        and not ("step != 'forget'" in sql and row["step"] == "forget")
    ]
    return [{"row_count": len(found)}]


def _forgotten(sink: FakeSink, sql: str, parameters: Mapping[str, Any]) -> list[Row]:
    return [{"conversation_id": i} for i in sorted(_forgotten_ids(sink.rows[PIPELINE_EVENTS]))]


def _forgotten_among(sink: FakeSink, sql: str, parameters: Mapping[str, Any]) -> list[Row]:
    rows = [
        row
        for row in sink.rows[PIPELINE_EVENTS]
        if row["conversation_id"] in parameters["ids"] and row["_landed_at"] >= parameters["since"]
    ]
    return [{"conversation_id": i} for i in sorted(_forgotten_ids(rows))]


def _newest_files(rows: list[Row]) -> dict[tuple[str, str], Row]:
    by_age = sorted(rows, key=lambda row: row["generation"])
    return {(row["conversation_id"], row["kind"]): row for row in by_age}


def _files_of_date(sink: FakeSink, sql: str, parameters: Mapping[str, Any]) -> list[Row]:
    rows = [row for row in sink.rows[CONVERSATION_FILES] if row["batch_date"] == parameters["date"]]
    return list(_newest_files(rows).values())


def _files_of_several_dates(sink: FakeSink, sql: str, parameters: Mapping[str, Any]) -> list[Row]:
    dates: dict[str, set[dt.date]] = {}
    for row in sink.rows[CONVERSATION_FILES]:
        dates.setdefault(row["conversation_id"], set()).add(row["batch_date"])
    return [
        _fact("file", row)
        for row in sink.rows[CONVERSATION_FILES]
        if len(held := dates[row["conversation_id"]]) > 1 and parameters["date"] in held
    ]


def _states_of_date(sink: FakeSink, sql: str, parameters: Mapping[str, Any]) -> list[Row]:
    newest = _newest_states(sink.rows[CI_CONVERSATIONS])
    return [
        row
        for row in newest.values()
        if row["payload"]["labels"].get("batch_date") == parameters["date"]
    ]


def _found_states(sink: FakeSink, sql: str, parameters: Mapping[str, Any]) -> list[Row]:
    delivered = {row["conversation_id"] for row in sink.rows[CONVERSATION_FILES]}
    return [
        row
        for id_, row in sorted(_newest_states(sink.rows[CI_CONVERSATIONS]).items())
        if "batch_date" not in row["payload"]["labels"] and id_ not in delivered
    ]


def _registry(sink: FakeSink, sql: str, parameters: Mapping[str, Any]) -> list[Row]:
    if sink.registry is None:
        raise RemoteError("fake: no mart", code="NOT_FOUND")
    if "distinct batch_date" in sql:
        return _dates(sink.registry)
    date = None if "batch_date is null" in sql else parameters["date"]
    return [row for row in sink.registry if row["batch_date"] == date]


def _file_dates(sink: FakeSink, sql: str, parameters: Mapping[str, Any]) -> list[Row]:
    return _dates(sink.rows[CONVERSATION_FILES])


def _dates(rows: list[Row]) -> list[Row]:
    return [{"batch_date": d} for d in sorted({row["batch_date"] for row in rows} - {None})]


def _open_refusals(sink: FakeSink, sql: str, parameters: Mapping[str, Any]) -> list[Row]:
    return [
        {
            "batch_date": date,
            "conversation_id": name,
            "error_code": row["error_code"],
            "error_message": row["error_message"],
        }
        for (name, date), row in _latest_events(sink.rows[PIPELINE_EVENTS]).items()
        if date is not None
        and date.isoformat() in parameters["dates"]
        and (row["step"], row["outcome"]) == ("validate", "failed")
    ]


_ANSWERS: dict[str, Callable[[FakeSink, str, Mapping[str, Any]], list[Row]]] = {
    "$.custom.": _of_customer,
    "'file' as fact": _evidence,
    "step = 'submit' and conversation_id in": _kept_here,
    "max_by(error_message, ended_at)": _open_refusals,
    "$.qaScorecardRevision": _scored,
    "issueModelResult": lambda *_: [{"conversation_count": 0}],
    "select conversation_id, label_name": _labels,
    "select distinct matcher_id": _revisions,
    "select distinct analysis_name": _landed_analyses,
    "select distinct conversation_id, payload_sha256": _landed_hashes,
    "count(*) as row_count": _row_count,
    "select distinct outcome": _forgets,
    "select distinct reason": _origins,
    "in unnest(@ids) and step = 'forget'": _forgotten_among,
    "step = 'forget'": _forgotten,
    "having min(batch_date) < max(batch_date)": _files_of_several_dates,
    "conversation_id, kind, content_sha256": _files_of_date,
    "batch_date is null and conversation_id not in": _found_states,
    "'$.labels.batch_date'": _states_of_date,
    "conversation_registry_current": _registry,
    "select distinct batch_date": _file_dates,
}
