from __future__ import annotations

import datetime as dt
from collections import Counter

import pytest

from ingest.cli.verify import exit_code, still_text
from ingest.errors import ExitCode
from ingest.flows.verify import DateCheck, Mismatch

DAY = dt.date(2026, 1, 5)
EQUAL = DateCheck(DAY, Counter(bucket=2, ci=2))
DIFFERENT = DateCheck(DAY, Counter(bucket=2), [Mismatch("abcd", "ci", "missing")])
NOTHING = DateCheck(DAY, Counter(bucket=0))


@pytest.mark.parametrize(
    ("checks", "code"),
    [
        ([EQUAL], ExitCode.OK),
        ([EQUAL, NOTHING], ExitCode.OK),
        ([DateCheck(DAY, Counter(bucket=2, ci=2), [], ["abcd"])], ExitCode.OK),
        ([EQUAL, DIFFERENT], ExitCode.SOME_FAILED),
        ([NOTHING], ExitCode.SOME_FAILED),
        ([], ExitCode.SOME_FAILED),
    ],
)
def test_only_something_compared_and_equal_is_success(
    checks: list[DateCheck], code: ExitCode
) -> None:
    assert exit_code(checks) is code


@pytest.mark.parametrize(
    ("ids", "text"),
    [
        (
            ["abcd"],
            "note: Insights still holds 1 conversation whose medium isn't sent there; "
            "leave it, or erase it everywhere: ingest forget abcd",
        ),
        (
            ["abcd", "efgh"],
            "note: Insights still holds 2 conversations whose medium isn't sent there; "
            "leave it, or erase it everywhere: ingest forget abcd; --json lists all",
        ),
    ],
)
def test_what_insights_still_holds_is_one_line_with_the_way_out(ids: list[str], text: str) -> None:
    assert still_text(ids) == text
