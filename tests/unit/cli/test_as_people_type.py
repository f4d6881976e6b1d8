"""Misspelt commands and dates as people write them."""

from __future__ import annotations

import datetime as dt

import pytest
from typer.testing import CliRunner

from ingest.cli import _output
from ingest.cli import app as root
from ingest.errors import InputError

NOW = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        ("pussh", "No such command 'pussh'. Did you mean 'push'?"),
        ("raport", "No such command 'raport'. Did you mean 'report'?"),
        ("xyz", "No such command 'xyz'."),
    ],
)
def test_a_misspelt_command_is_answered_with_those_it_may_mean(typed: str, answer: str) -> None:
    result = CliRunner().invoke(root, [typed])

    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1] == f"Error: {answer}"


@pytest.mark.parametrize(
    ("typed", "date"),
    [
        (None, None),
        ("2025-12-28", dt.date(2025, 12, 28)),
        ("20251228", dt.date(2025, 12, 28)),
        ("2025/12/28", dt.date(2025, 12, 28)),
        ("28.12.2025", dt.date(2025, 12, 28)),
        ("28 Dec 2025", dt.date(2025, 12, 28)),
        ("December 28, 2025", dt.date(2025, 12, 28)),
        ("Today", dt.date(2026, 1, 1)),
        ("yesterday", dt.date(2025, 12, 31)),
    ],
)
def test_dates_are_read_as_people_write_them(
    monkeypatch: pytest.MonkeyPatch, typed: str | None, date: dt.date | None
) -> None:
    monkeypatch.setattr(_output, "now", lambda: NOW)

    assert _output.parsed_date(typed) == date


@pytest.mark.parametrize("typed", ["01/02/2026", "2025-13-01", "28", "", "tomorrow morning"])
def test_a_date_that_can_be_read_in_two_ways_or_none_is_refused(typed: str) -> None:
    with pytest.raises(InputError) as caught:
        _output.parsed_date(typed)

    assert str(caught.value) == f"{typed!r} is not a date"
