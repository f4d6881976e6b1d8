"""The phrase rule in SQL against the one in Python, which decides what Insights' matchers hit."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jinja2
import pytest

from ingest.domain.matchers import MatcherDefinition, MatchType, PhraseRule, Role, RuleGroup
from ingest.domain.phrase_matching import compile_matcher
from tests.warehouse.conftest import Warehouse
from tests.warehouse.dbt_runs import ROOT

pytestmark = pytest.mark.stack

MACROS = ROOT / "dbt_project/macros/phrase_pattern.sql"
WORDS = ("no", "No", "NO", "a", "ab", "bab", "it's", "5", "\u00e9", "\u00c9t", "\u00df", "\u1e9e")
WORDS += ("K", "\u212a", "s", "\u017f", "i", "I", "\u0130", "\u0131", "\u03c3", "\u03c2", "\u03a3")
WORDS += ("e\u0301", "\u0301", "\u00bd", "\u65e5", "x_y")
SIGNS = ("'", "\u2019", "''", "`", "\u00a3", "\u2013", "\u201c", "\u2026", "_", "!", '"', "#", "$")
SIGNS += ("%", "&", "(", ")", "*", "+", ",", "-", ".", "/", ":", ";", "<", "=", ">", "?", "@")
SIGNS += ("[", "\\", "]", "^", "{", "|", "}", "~", "{2}", "\\d", "[a]", "(?i)")
SPACES = (" ", " ", " ", "  ", "\t", "\n", "\x0b", "\x1c", "\x85", "\u00a0", "\u2003", "\u2028")
CASES = 3000


@dataclass(frozen=True)
class Case:
    """A phrase to be found in a text."""

    phrase: str
    text: str
    is_case_sensitive: bool = False

    @property
    def expected(self) -> list[tuple[int, int]]:
        rule = PhraseRule(self.phrase, case_sensitive=self.is_case_sensitive)
        group = RuleGroup("g", MatchType.ANY_OF, (rule,))
        definition = MatcherDefinition("m", MatchType.ANY_OF, (group,), Role.ROLE_UNSPECIFIED)
        hits = compile_matcher(definition).find(self.text, Role.END_USER) or ()
        return [(hit.start_char, hit.end_char) for hit in hits]


EXAMPLES = (
    Case("no no", "Piano no no, sir."),
    Case("no no", "no no no no no"),
    Case("ab a", "ab ab a"),
    Case("a-a", "a-a-a a-a"),
    Case("--", "-----"),
    Case("sue", "Sue, the issue isn't sue's; sue\u2019 'sue' ''sue sue''s"),
    Case("\u00a35", "a\u00a35 \u00a35 \u00a3\u00a35, \u00a355 \u00a35\u2013\u00a35"),
    Case("\u201cso\u201d \u2013 ok", "\u201cSo\u201d\u00a0\u2013\tOK!"),
    Case(" I\u2019m  sorry\n", "I'm\u2003 sorry, i`m sorry"),
    Case("CAF\u00c9", "caf\u00e9s caf\u00e9 caf\u00e9\u0301"),
    Case("Stop", "stop Stop STOP", is_case_sensitive=True),
    Case("\U0001f600 a", "\U0001f600\U0001f600 a \U0001f600 a"),
)


def test_sql_finds_what_python_finds(warehouse: Warehouse) -> None:
    cases = [*EXAMPLES, *_generated(random.Random(20251228))]

    found, may_hold = _found_in_sql(warehouse, cases)

    expected = [case.expected for case in cases]
    wrong = [row for row in zip(cases, expected, found, strict=True) if row[1] != row[2]]
    assert wrong == []
    assert [
        case for case, may in zip(cases, may_hold, strict=True) if case.expected and not may
    ] == []
    assert sum(len(spans) > 0 for spans in expected) >= CASES / 4
    assert sum(len(spans) > 1 for spans in expected) >= CASES / 10


def _found_in_sql(
    warehouse: Warehouse, cases: list[Case]
) -> tuple[list[list[tuple[int, int]]], list[bool]]:
    """Return the spans of all cases, and whether the letters let each pass; one query."""
    macros: Any = jinja2.Environment(autoescape=False).from_string(MACROS.read_text("utf-8")).module
    marked_text = macros.marked_text(macros.plain_text("text"))
    pattern = macros.phrase_pattern("phrase", "is_case_sensitive")
    spans = macros.phrase_spans("marked_text", "pattern")
    letters = macros.phrase_letters("phrase")
    rows = ", ".join(
        f"({number}, {_literal(case.phrase)}, {_literal(case.text)}, {case.is_case_sensitive})"
        for number, case in enumerate(cases)
    )
    answer: list[dict[str, Any]] = warehouse.rows(
        "with prepared as ("
        f"select number, {marked_text} as marked_text, {pattern} as pattern, "
        f"lower(text) like {letters} as may_hold from unnest("
        "array<struct<number int64, phrase string, text string, is_case_sensitive bool>>"
        f"[{rows}])) select {spans} as spans, may_hold from prepared order by number"
    )
    found = [[(span["start_char"], span["end_char"]) for span in row["spans"]] for row in answer]
    return found, [row["may_hold"] for row in answer]


def _generated(order: random.Random) -> Iterator[Case]:
    """Yield phrases and texts of the same few pieces, so that hits abut and overlap."""
    for _ in range(CASES):
        pieces = [*order.sample(WORDS, 2), order.choice(SIGNS)]
        phrase = _joined(order, pieces, order.randint(1, 3))
        if not phrase.split():
            continue
        pieces += [phrase, phrase, phrase.swapcase(), " ", order.choice(SIGNS)]
        text = _joined(order, pieces, order.randint(1, 6))
        yield Case(phrase, text, is_case_sensitive=order.random() < 0.3)


def _joined(order: random.Random, pieces: list[str], count: int) -> str:
    chosen = [order.choice(pieces)]
    for _ in range(count - 1):
        chosen += [order.choice(("", *SPACES)), order.choice(pieces)]
    return "".join(chosen)


def _literal(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
