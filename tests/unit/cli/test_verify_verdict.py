from __future__ import annotations

import datetime as dt
from collections import Counter

import pytest

from ingest.cli.verify import exit_code
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
        ([EQUAL, DIFFERENT], ExitCode.SOME_FAILED),
        ([NOTHING], ExitCode.SOME_FAILED),
        ([], ExitCode.SOME_FAILED),
    ],
)
def test_only_something_compared_and_equal_is_success(
    checks: list[DateCheck], code: ExitCode
) -> None:
    assert exit_code(checks) is code
