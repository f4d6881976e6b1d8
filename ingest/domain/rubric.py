"""The coaching rubric as code: what a row of it may say, and what is wrong with it.

dbt judges by the same files; `policies.csv` has the versions of each policy.
"""

from __future__ import annotations

import csv
import datetime as dt
import difflib
import io
import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations

RUBRIC_FILE = "coaching_rubric.csv"
POLICIES_FILE = "policies.csv"
RUBRIC_COLUMNS = (
    "check_id",
    "dimension",
    "rule",
    "phrases",
    "cue",
    "subject",
    "limit_value",
    "severity",
    "policy",
    "valid_from",
    "valid_to",
    "business_line",
    "direction",
    "medium",
    "queue",
    "tenure_from_days",
    "tenure_to_days",
    "advice",
)
POLICY_COLUMNS = ("policy", "version", "valid_from", "valid_to", "title")
SEVERITIES = ("critical", "high", "medium", "low")
_CHECK_ID = re.compile(r"[a-z][a-z0-9_]{2,62}")
_END = dt.date(9999, 12, 31)


class RuleKind(StrEnum):
    """All that a check can ask; `PARAMETERS` says by what."""

    SAID = "said"
    NOT_SAID = "not_said"
    SAID_BEFORE_TURN = "said_before_turn"
    SAID_AFTER_CUE_TURNS = "said_after_cue_turns"
    SAID_AFTER_CUE_SECONDS = "said_after_cue_seconds"
    SENTIMENT_MET_TURNS = "sentiment_met_turns"
    DISCLOSURE_SAID = "disclosure_said"
    SAID_FOR_OUTCOME = "said_for_outcome"
    OUTCOME_AFTER_CUE = "outcome_after_cue"
    TALK_SHARE_AT_MOST = "talk_share_at_most"
    INTERRUPTIONS_AT_MOST = "interruptions_at_most"
    QA_SCORE_AT_LEAST = "qa_score_at_least"


PARAMETERS: Mapping[RuleKind, frozenset[str]] = {
    RuleKind.SAID: frozenset({"phrases"}),
    RuleKind.NOT_SAID: frozenset({"phrases"}),
    RuleKind.SAID_BEFORE_TURN: frozenset({"phrases", "limit_value"}),
    RuleKind.SAID_AFTER_CUE_TURNS: frozenset({"phrases", "cue", "limit_value"}),
    RuleKind.SAID_AFTER_CUE_SECONDS: frozenset({"phrases", "cue", "limit_value"}),
    RuleKind.SENTIMENT_MET_TURNS: frozenset({"phrases", "limit_value"}),
    RuleKind.DISCLOSURE_SAID: frozenset({"phrases"}),
    RuleKind.SAID_FOR_OUTCOME: frozenset({"phrases", "subject"}),
    RuleKind.OUTCOME_AFTER_CUE: frozenset({"cue", "subject"}),
    RuleKind.TALK_SHARE_AT_MOST: frozenset({"limit_value"}),
    RuleKind.INTERRUPTIONS_AT_MOST: frozenset({"limit_value"}),
    RuleKind.QA_SCORE_AT_LEAST: frozenset({"subject", "limit_value"}),
}
"""Columns that a rule needs; the other parameters stay empty."""
_SHARES = (RuleKind.TALK_SHARE_AT_MOST, RuleKind.QA_SCORE_AT_LEAST)
_ALL_PARAMETERS = ("phrases", "cue", "subject", "limit_value")


@dataclass(frozen=True, slots=True)
class RowFault:
    """What is wrong with a row, and the cure."""

    file: str
    row: int
    """Row of the table; the header is 1."""
    rule: str
    """Stable snake_case name."""
    message: str
    cure: str


@dataclass(frozen=True, slots=True)
class Words:
    """What rows may name: matchers and `matcher.group`, and the business's words (empty: any)."""

    phrases: frozenset[str]
    fields: Mapping[str, frozenset[str]]
    outcomes: frozenset[str] = frozenset()
    qa_questions: frozenset[str] = frozenset()


def rubric_faults(rubric_csv: str, policies_csv: str, words: Words) -> tuple[RowFault, ...]:
    """Return all faults of the two CSV texts, by file and row."""
    policies, faults = _rows(POLICIES_FILE, policies_csv, POLICY_COLUMNS)
    checks, more = _rows(RUBRIC_FILE, rubric_csv, RUBRIC_COLUMNS)
    faults += more
    for number, row in policies:
        faults += _date_faults(POLICIES_FILE, number, row)
        if (
            not row["version"].isdecimal()
            or not row["version"].isascii()
            or int(row["version"]) < 1
        ):
            cure = "write 1 for the first version, 2 for the next"
            faults.append(
                RowFault(
                    POLICIES_FILE, number, "version", "version is no whole number from 1", cure
                )
            )
    known = frozenset(row["policy"] for _, row in policies)
    for number, row in checks:
        faults += _check_faults(number, row, known, words)
    faults += _overlaps(POLICIES_FILE, "policy", policies)
    faults += _overlaps(RUBRIC_FILE, "check_id", checks)
    return tuple(
        sorted(set(faults), key=lambda fault: (fault.file, fault.row, fault.rule, fault.message))
    )


Row = Mapping[str, str]


def _rows(
    file: str, text: str, columns: Sequence[str]
) -> tuple[list[tuple[int, Row]], list[RowFault]]:
    table = list(csv.reader(io.StringIO(text.removeprefix("\ufeff"))))
    if not table or tuple(table[0]) != tuple(columns):
        cure = f"write the header {','.join(columns)}"
        return [], [RowFault(file, 1, "header", "the columns aren't those of the file", cure)]
    rows: list[tuple[int, Row]] = []
    faults = []
    for number, cells in enumerate(table[1:], start=2):
        if len(cells) == len(columns):
            rows.append((number, dict(zip(columns, cells, strict=True))))
        elif cells:
            message = f"{len(cells)} values for {len(columns)} columns"
            faults.append(
                RowFault(file, number, "columns", message, "put values with a comma in quotes")
            )
    return rows, faults


def _check_faults(
    number: int, row: Row, policies: Collection[str], words: Words
) -> Iterator[RowFault]:
    def fault(rule: str, message: str, cure: str) -> RowFault:
        return RowFault(RUBRIC_FILE, number, rule, message, cure)

    if not _CHECK_ID.fullmatch(row["check_id"]):
        yield fault(
            "check_id", f"{row['check_id']!r} is no check id", "write 3 to 63 of a-z, 0-9, _"
        )
    for name in ("dimension", "advice"):
        if not row[name].strip():
            yield fault("missing", f"{name} is empty", f"give the check its {name}")
    closed = {"severity": SEVERITIES, "policy": policies, "rule": list(RuleKind)}
    for name, options in closed.items():
        if row[name] not in options:
            yield fault(
                f"unknown_{name}", f"there is no {name} {row[name]!r}", _guess(row[name], options)
            )
    for name, allowed in words.fields.items():
        if row[name] and allowed and row[name] not in allowed:
            yield fault(
                f"unknown_{name}", f"there is no {name} {row[name]!r}", _guess(row[name], allowed)
            )
    yield from _date_faults(RUBRIC_FILE, number, row)
    for broken, message, cure in _tenure_faults(row):
        yield fault(broken, message, cure)
    if row["rule"] in list(RuleKind):
        for broken, message, cure in _parameter_faults(RuleKind(row["rule"]), row, words):
            yield fault(broken, message, cure)


def _tenure_faults(row: Row) -> Iterator[tuple[str, str, str]]:
    bounds = [row["tenure_from_days"], row["tenure_to_days"]]
    if not all(re.fullmatch(r"[0-9]{0,5}", bound) for bound in bounds):
        yield (
            "tenure",
            "a bound of tenure is no number of days",
            "write whole days, or leave it empty",
        )
    elif all(bounds) and int(bounds[0]) > int(bounds[1]):
        yield "tenure_reversed", "tenure_to_days is before tenure_from_days", "exchange the two"


def _parameter_faults(kind: RuleKind, row: Row, words: Words) -> Iterator[tuple[str, str, str]]:
    needed = PARAMETERS[kind]
    for name in _ALL_PARAMETERS:
        if name in needed and not row[name]:
            yield "parameter_missing", f"rule {kind} needs {name}", f"fill in {name}"
        elif name not in needed and row[name]:
            yield "parameter_unused", f"rule {kind} takes no {name}", f"leave {name} empty"
        elif row[name] and name in ("phrases", "cue") and row[name] not in words.phrases:
            message = f"there are no phrases {row[name]!r}"
            yield f"unknown_{name}", message, _guess(row[name], words.phrases)
    is_qa = kind is RuleKind.QA_SCORE_AT_LEAST
    known, noun = (words.qa_questions, "question") if is_qa else (words.outcomes, "outcome")
    for name in row["subject"].split("|") if row["subject"] and "subject" in needed else ():
        if known and name not in known:
            yield "unknown_subject", f"there is no {noun} {name!r}", _guess(name, known)
    if "limit_value" in needed and row["limit_value"] and not _is_limit(kind, row["limit_value"]):
        share = kind in _SHARES
        cure = "write a share above 0 and up to 1" if share else "write a whole number"
        yield "limit_value", f"{row['limit_value']!r} is no limit of rule {kind}", cure
    if kind is RuleKind.DISCLOSURE_SAID and row["phrases"] and "." not in row["phrases"]:
        yield "disclosure", "a disclosure is one group of a matcher", "write matcher.group"


def _is_limit(kind: RuleKind, text: str) -> bool:
    try:
        number = float(text)
    except ValueError:
        return False
    if kind in _SHARES:
        return math.isfinite(number) and 0 < number <= 1
    least = 0 if kind is RuleKind.INTERRUPTIONS_AT_MOST else 1
    return re.fullmatch(r"[0-9]{1,6}", text) is not None and number >= least


def _date_faults(file: str, number: int, row: Row) -> Iterator[RowFault]:
    for name in ("valid_from", "valid_to"):
        if (row[name] or name == "valid_from") and _date(row[name]) is None:
            yield RowFault(file, number, "date", f"{name} is no date", "write it as 2025-12-28")
    first, last = _span(row)
    if first and last and last < first:
        cure = "valid_to is the last day, not before valid_from"
        yield RowFault(file, number, "dates_reversed", "valid_to is before valid_from", cure)


def _overlaps(file: str, key: str, rows: Sequence[tuple[int, Row]]) -> Iterator[RowFault]:
    """Yield the later of two rows of one key whose days overlap: a day would have two judges."""
    for (_, one), (number, other) in combinations(rows, 2):
        (first, last), (begin, end) = _span(one), _span(other)
        if (
            one[key] == other[key]
            and first
            and last
            and begin
            and end
            and first <= end
            and begin <= last
        ):
            cure = "end the earlier row the day before the later begins"
            yield RowFault(file, number, "overlap", f"two rows of {one[key]} hold on one day", cure)


def _span(row: Row) -> tuple[dt.date | None, dt.date | None]:
    return _date(row["valid_from"]), _date(row["valid_to"]) if row["valid_to"] else _END


def _date(text: str) -> dt.date | None:
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        return None
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        return None


def _guess(word: str, options: Collection[str]) -> str:
    near = difflib.get_close_matches(word, sorted(options), n=1)
    return f"did you mean {near[0]}?" if near else f"write one of {', '.join(sorted(options))}"
