"""The site from rows in memory: linked, whole, and its numbers open the lists that they count."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.flows.report import (
    AgentTotals,
    Cost,
    Funnel,
    MatcherQuality,
    RunReport,
    StepLatency,
)
from ingest.flows.runs import FailureGroup, Run
from ingest.flows.status import DateFunnel, PipelineStatus, StatusCount
from ingest.ports.inspect import Column, TableDetails, TableSummary
from ingest.site.build import Counts, WordIndex, build_site
from ingest.site.charts import clock, time_ticks
from ingest.site.pages import Frame, page_name, run_page
from ingest.site.reading import CURRENT, SiteReader
from tests.unit.flows.warehouse_fake import FakeWarehouse

T0 = dt.datetime(2026, 1, 5, 1, 30, tzinfo=dt.UTC)
HOSTILE = "\"><script>alert(1)</script><b>&amp;\u202e\x1b'</script><!--"
Rows = dict[str, list[dict[str, Any]]]


def registry(key: str, **changes: Any) -> dict[str, Any]:
    row = {
        "conversation_id": key, "batch_date": T0.date(), "started_at": T0, "duration_sec": 95.0,
        "turn_count": 3, "direction": "INBOUND", "business_line": "LOANS", "medium": "PHONE_CALL",
        "language_code": "en-AU", "queue": "loans", "agent_id": "AGT-1", "agent_name": "Ann Lee",
        "agent_team": "North", "agent_site": "Perth", "call_outcome": "PROMISE_TO_PAY",
        "origin": "delivered", "status": "analysed", "open_reason": None, "last_error_code": None,
        "metadata_sha256": "m" + key, "transcript_sha256": "t" + key, "submitted_at": T0,
    }  # fmt: skip
    return {**row, **changes}


def talk(key: str, *texts: str, step: float | None = 5.0) -> list[dict[str, Any]]:
    return [
        {
            "conversation_id": key,
            "turn_index": place,
            "speaker": ("AGENT", "CUSTOMER")[place % 2],
            "start_offset_sec": None if step is None else place * step,
            "text": text,
            "customer_sentiment_score": -0.5 if place % 2 else None,
        }
        for place, text in enumerate(texts)
    ]


def hit(key: str, turn: int, matcher: str, phrase: str, start: int) -> dict[str, Any]:
    names = ("conversation_id", "turn_index", "phrase_matcher", "phrase", "start_char", "end_char")
    return dict(zip(names, (key, turn, matcher, phrase, start, start + len(phrase)), strict=True))


def checks(key: str) -> list[dict[str, Any]]:
    """A miss with its turn, a strength that was measured, and a check that wasn't due."""
    row = {
        "conversation_id": key, "check_id": "no_violation", "dimension": "conduct",
        "severity": "critical", "verdict": "fail", "advice": "Say what happens next.", "weight": 8,
        "turn_index": 0, "searched_from_turn": None, "searched_to_turn": None,
        "measured_value": None, "qa_answer": None, "limit_value": None,
    }  # fmt: skip
    measured = {
        "check_id": "talk_share", "dimension": "balance", "severity": "low", "verdict": "pass",
        "weight": 1, "turn_index": None, "measured_value": 0.5, "limit_value": 0.7,
    }  # fmt: skip
    scored = measured | {"check_id": "notice", "qa_answer": "partly", "limit_value": 0.5}
    absent = {
        "check_id": "recording", "severity": "high", "weight": 4, "turn_index": None,
        "searched_from_turn": 0, "searched_to_turn": 9,
    }  # fmt: skip
    return [row, row | measured, row | scored, row | absent, row | {"verdict": "not_applicable"}]


def warehouse_of(tables: Rows) -> FakeWarehouse:
    """Return a warehouse of these marts, which answers by table and by the ids asked for."""
    names = {"coach_staging": ["matcher_measures"], "coach": [*tables]}
    columns = {
        name: [Column(column, "STRING") for column in (rows[0] if rows else {})]
        for name, rows in tables.items()
    }
    fake = FakeWarehouse(
        listed=[TableSummary(d, t, "TABLE") for d, ts in names.items() for t in ts],
        details={
            (dataset, name): TableDetails(
                dataset,
                name,
                "TABLE",
                tuple(columns.get(name, ())),
                1,
                1,
                None,
                False,
                (),
                None,
                "",
            )
            for dataset, of in names.items()
            for name in of
        },
    )

    def answer(sql: str) -> Sequence[Mapping[str, Any]]:
        table = re.findall(r"from `p\.\w+\.(\w+)`", sql)[0]
        ids = fake.ran[-1][1].get("ids")
        rows = tables.get(table, [])
        return [row for row in rows if ids is None or row["conversation_id"] in ids]

    fake.answer = answer
    return fake


def tables_of(*keys: str, **changes: Any) -> Rows:
    """Return marts with these conversations, each with a violation in its first turn."""
    return {
        CURRENT: [registry(key, **changes) for key in keys],
        "ci_conversations": [
            {"conversation_id": key, "customer_sentiment_score": -0.25} for key in keys
        ],
        "customer_sentiment_arcs": [
            {
                "conversation_id": key, "sentiment_arc": "mixed", "first_third_score": -0.5,
                "last_third_score": 0.5,
            } for key in keys
        ],
        "missing_disclosures": [{"conversation_id": keys[0], "disclosure": "call_recording"}],
        "ci_turns": [
            row for key in keys
            for row in talk(key, "You will be sued now.", "My name is Zebulon Quark.", "Fine then.")
        ],
        "ci_phrase_matches": [
            hit(key, 0, "compliance_violations", "will be sued", 4) for key in keys
        ],
        "matcher_measures": [
            {"phrase_matcher": "compliance_violations", "measure": "compliance_violation"}
        ],
        "coaching_cards": [
            {
                "conversation_id": key, "summary": "Inbound call.", "score": 0.25,
                "confidence": 0.9, "next_actions": ["Say what happens next."],
            } for key in keys
        ],
        "ci_topics": [
            {"conversation_id": key, "topic": "Hardship", "score": 0.75} for key in keys
        ],
        "coaching_checks": [row for key in keys for row in checks(key)],
        "coaching_queue": [
            {
                "conversation_id": keys[0], "kind": "coach", "queue_rank": 1, "points": 14,
                "reasons": ["critical miss", "agent was not coached in 28 days"],
            }
        ],
        "agent_weekly": [
            {
                "agent_id": "AGT-1", "week_start": dt.date(2026, 1, 5), "conversation_count": 3,
                "exemplary_count": 0, "score": 0.25, "score_change": -0.5, "coached_on": None,
                "score_change_since_coaching": None, "best_conversation_id": keys[-1],
                "top_misses": [
                    {
                        "check_id": "no_violation", "miss_count": 1,
                        "example_conversation_id": "not-here",
                    }
                ],
            }
        ],
        "conversation_files": [
            {
                "conversation_id": keys[0], "content_sha256": "m" + keys[0],
                "started_at": "2026-01-05T12:00:00+10:30",
            }
        ],
    }  # fmt: skip


def built(tables: Rows, out: Path, *, with_pii: bool = False) -> tuple[Counts, list[str]]:
    reader = SiteReader(warehouse_of(tables))
    frame = Frame("proj", with_pii, has_docs=False)
    return build_site(reader, None, frame, out, out / "none"), reader.gaps


def pages_of(out: Path) -> dict[str, str]:
    return {
        path.relative_to(out).as_posix(): path.read_text("utf-8") for path in out.rglob("*.html")
    }


def list_of(out: Path) -> list[dict[str, Any]]:
    page = (out / "index.html").read_text("utf-8")
    data = json.loads(page.split('id="rows">')[1].split("</script>")[0])
    return [dict(zip(data["fields"], row, strict=True)) for row in data["rows"]]


def counts(out: Path) -> Iterator[tuple[int, int]]:
    """Yield each linked number with how many conversations the list has that it opens."""
    rows = list_of(out)
    for page in pages_of(out).values():
        for href, shown in re.findall(r'<a class="count" href="([^"]+)">([\d,]+)</a>', page):
            wanted = dict(parse_qsl(unescape(href).split("#")[1]))
            since, until = wanted.pop("from", ""), wanted.pop("to", "9")
            fitting = [
                row for row in rows
                if since <= row["date"] <= until
                and all(value in (row[name] if isinstance(row[name], list) else [row[name]])
                        for name, value in wanted.items())
            ]  # fmt: skip
            yield int(shown.replace(",", "")), len(fitting)


def test_every_link_of_the_site_leads_to_a_page_and_a_place_of_it(tmp_path: Path) -> None:
    built(tables_of("a-1", "b-2"), tmp_path)
    pages = pages_of(tmp_path)

    dead = []
    for name, page in pages.items():
        for href in map(unescape, re.findall(r'href="([^"]+)"', page)):
            path, _, place = href.partition("#")
            target = (
                ((tmp_path / name).parent / unquote(path)).resolve() if path else tmp_path / name
            )
            here = target.exists() and (
                "index.html" in path or not place or f'id="{place}"' in target.read_text("utf-8")
            )
            dead += [] if here else [(name, href)]

    assert dead == []
    assert sorted(pages) == [
        "agents.html", f"agents/{page_name('AGT-1')}.html", "coaching.html",
        "conversations/a-1.html",
        "conversations/b-2.html", "index.html", "queues.html", "queues/loans.html",
        "runs.html", "teams.html", f"teams/{page_name('North')}.html",
        "topics.html", f"topics/{page_name('Hardship')}.html",
    ]  # fmt: skip


def test_every_number_of_conversations_opens_the_list_that_it_counts(tmp_path: Path) -> None:
    tables = tables_of("a-1", "b-2", "c-3")
    other = dt.date(2026, 2, 1)
    tables[CURRENT] += [
        registry("d-4", batch_date=other, agent_id=HOSTILE, queue=HOSTILE, agent_team="A&B=c#d"),
        registry("e-5", agent_id="AGT-1", agent_team=None, status="failed"),
    ]
    tables["quarantined_conversations"] = [{"conversation_id": "c-3", "rule": "turns_differ"}]
    built(tables, tmp_path)

    found = list(counts(tmp_path))

    assert len(found) > 20
    assert [pair for pair in found if pair[0] != pair[1] or pair[0] == 0] == []
    assert "3" in re.findall(
        r'class="count" href="[^"]+">(\d+)<', pages_of(tmp_path)["agents.html"]
    )


def test_topics_group_conversations_and_are_linked_both_ways(tmp_path: Path) -> None:
    tables = tables_of("a-1", "b-2", "c-3")
    tables["ci_topics"] = [
        {"conversation_id": key, "topic": topic, "score": score}
        for key, topic, score in (
            ("a-1", HOSTILE, 0.25), ("a-1", "Hardship", 0.75), ("b-2", "Hardship", None),
            ("c-3", "Hardship", 0.5), ("c-3", None, 0.5),
        )
    ]  # fmt: skip
    tables["quarantined_conversations"] = [{"conversation_id": "c-3", "rule": "turns_differ"}]
    built(tables, tmp_path)

    page, pages = f"topics/{page_name('Hardship')}.html", pages_of(tmp_path)
    assert [row["topic"] for row in list_of(tmp_path)][1:] == [["Hardship"], ["Hardship"]]
    assert list_of(tmp_path)[0]["topic"][0] == "Hardship"
    assert (
        f'<dt>topics</dt><dd><a href="../{page}">Hardship</a>, ' in pages["conversations/a-1.html"]
    )
    assert "<dt>topic</dt><dd>Hardship</dd>" in pages["conversations/c-3.html"]
    assert "<h1>Topic Hardship</h1>" in pages[page]
    assert '<a class="count" href="../index.html#topic=Hardship&amp;aside=no">2</a>' in pages[page]
    assert f'<a href="{page}">Hardship</a>' in pages["topics.html"]
    assert [pair for pair in counts(tmp_path) if pair[0] != pair[1]] == []


def test_a_mean_that_rounds_to_zero_is_neutral_and_has_no_sign(tmp_path: Path) -> None:
    tables = tables_of("a-1")
    tables["ci_conversations"][0]["customer_sentiment_score"] = -0.004
    built(tables, tmp_path)

    page = pages_of(tmp_path)["queues/loans.html"]
    assert "<dd>+0.00 neutral</dd>" in page
    assert "-0.00" not in page


def test_a_site_without_topics_says_how_to_get_some(tmp_path: Path) -> None:
    built({**tables_of("a-1"), "ci_topics": []}, tmp_path)

    assert "<code>ingest topics plan</code>" in pages_of(tmp_path)["topics.html"]


def report_of(delivered: int) -> RunReport:
    date = DateFunnel(T0.date(), delivered, 3, 3, 3, 0, 0, 0, 3, None, T0)
    backlog = (StatusCount(T0.date(), "failed", "submit", "INTERNAL", 1, T0, T0),)
    return RunReport(
        batch_date=None,
        over_all_dates=(),
        status=PipelineStatus(T0, (date,), backlog, (), (), (), 0, None),
        funnel=Funnel(delivered, 3, 3, 3, 2, 1),
        failures=(FailureGroup("submit", "INTERNAL", 4, 1, 1, T0, T0, "a-1"),),
        latencies=(StepLatency("submit", 3, 0.5, 1.25, 2.0),),
        runs=(Run("run-1", T0, T0 + dt.timedelta(seconds=9), 3, 0, (T0.date(),)),),
        cost=Cost(3, 3, 2, 1, Decimal("0.09")),
        matchers=(MatcherQuality("compliance_violations", 3, 3, 0, 0, 1.0, None),),
        agents=(AgentTotals("AGT-1", "Ann Lee", "North", 3, 3, 0, 1, -0.25),),
    )


def test_a_number_of_the_report_opens_the_list_only_where_the_list_agrees(tmp_path: Path) -> None:
    tables = tables_of("a-1", "b-2", "c-3")
    tables["quarantined_conversations"] = [{"conversation_id": "c-3", "rule": "turns_differ"}]
    for delivered in (3, 4):
        out = tmp_path / str(delivered)
        frame = Frame("proj", with_pii=False, has_docs=False)
        reader = SiteReader(warehouse_of(tables))
        build_site(reader, report_of(delivered), frame, out, out / "none")

    shown = {n: pages_of(tmp_path / str(n))["runs.html"] for n in (3, 4)}
    assert '<a class="count" href="index.html#stage=delivered">3</a>' in shown[3]
    assert '<a class="count" href="index.html#aside=yes">1</a>' in shown[3]
    assert '<td class="number">4</td>' in shown[4]
    assert shown[3].count('class="count"') - shown[4].count('class="count"') == 2
    assert '<a href="conversations/a-1.html">a-1</a>' in shown[3]
    assert f'<a href="agents/{page_name("AGT-1")}.html">AGT-1</a>' in shown[3]
    assert "Ann Lee" not in shown[3]
    assert [pair for pair in counts(tmp_path / "3") if pair[0] != pair[1]] == []


@pytest.mark.parametrize("is_emulated", [True, False])
def test_every_page_says_when_an_emulator_made_the_sentiment(
    tmp_path: Path, is_emulated: bool
) -> None:
    reader = SiteReader(warehouse_of(tables_of("a-1")))
    frame = Frame("proj", with_pii=False, has_docs=False, is_emulated=is_emulated)
    build_site(reader, report_of(1), frame, tmp_path, tmp_path / "none")

    pages = pages_of(tmp_path)
    alone = run_page(report_of(1), "proj", is_emulated=is_emulated)
    assert len(pages) > 5
    assert {"<strong>Emulated.</strong>" in page for page in (*pages.values(), alone)} == {
        is_emulated
    }


def test_a_miss_leads_to_its_very_turn_and_what_was_left_out_to_its_call(tmp_path: Path) -> None:
    built(tables_of("a-1"), tmp_path)
    page = pages_of(tmp_path)[f"agents/{page_name('AGT-1')}.html"]

    assert '<a href="../conversations/a-1.html#turn-0">conversation a-1, turn 0</a>' in page
    assert '<a href="../conversations/a-1.html">conversation a-1</a>' in page
    assert "left out: call recording" in page
    assert "Best call" not in page


def test_a_card_leads_to_its_evidence_and_the_turn_says_what_was_missed(tmp_path: Path) -> None:
    built(tables_of("a-1"), tmp_path)
    page = pages_of(tmp_path)["conversations/a-1.html"]

    card = page.split('<section id="card"')[1].split("</section>")[0]
    text = " ".join(re.sub(r"<[^>]+>", "", unescape(card.partition(">")[2])).split())
    assert text == (
        "Coaching card Inbound call. Score 25% of the weight that was judged, confidence 90%. "
        "Checks hear known phrases: what was said in other words counts as missing. "
        "Misses no violation (conduct, critical): turn 0. Say what happens next. "
        "recording (conduct, high): not heard in turns 0 to 9. Say what happens next. "
        "Strengths notice (balance, low): answered «partly»: 50% of its points, at least 50% "
        "talk share (balance, low): measured 0.5, at most 0.7"
    )
    assert '<a href="#turn-0" aria-label="no violation, turn 0">turn 0</a>' in card
    assert '<li class="fail">missed: no violation</li>' in page
    assert list_of(tmp_path)[0]["check"] == {"no_violation": 0, "recording": None}
    assert list_of(tmp_path)[0]["severity"] == "critical"


def test_the_coaching_page_leads_to_calls_and_turns_in_the_queues_order(tmp_path: Path) -> None:
    tables = tables_of("a-1", "b-2")
    queued = tables["coaching_queue"][0]
    tables["coaching_queue"].insert(0, queued | {"conversation_id": "b-2", "queue_rank": 2})
    built(tables, tmp_path)
    page = pages_of(tmp_path)["coaching.html"]

    assert re.findall(r'href="(conversations/[^"]+#card)"', page) == [
        "conversations/a-1.html#card",
        "conversations/b-2.html#card",
    ]
    assert '<a href="conversations/a-1.html#turn-0">no violation</a> (critical)' in page
    assert "critical miss; agent was not coached in 28 days" in page
    assert "No call without a miss was judged" in page


def test_an_agents_page_has_its_weeks_of_coaching_and_links_calls_that_are_there(
    tmp_path: Path,
) -> None:
    built(tables_of("a-1", "b-2"), tmp_path)
    page = pages_of(tmp_path)[f"agents/{page_name('AGT-1')}.html"]

    assert "no violation (1, not-here)" in page
    assert '<a href="../conversations/b-2.html#card">b-2</a>' in page
    assert '<td class="number">25%</td><td class="number">-0.50</td>' in page


def test_a_call_shows_its_own_clock_with_utc_beside_it(tmp_path: Path) -> None:
    built(tables_of("a-1", "b-2"), tmp_path)
    pages = pages_of(tmp_path)

    told = 'title="2026-01-05 01:30:00 UTC">2026-01-05 12:00 +10:30</time>'
    assert told in pages["conversations/a-1.html"]
    assert ">2026-01-05 01:30 UTC</time>" in pages["conversations/b-2.html"]
    assert [row["local"] for row in list_of(tmp_path)] == [
        "2026-01-05 12:00 +10:30",
        "2026-01-05 01:30 UTC",
    ]


def test_hostile_words_of_any_column_stay_text(tmp_path: Path) -> None:
    plain, hostile = tmp_path / "plain", tmp_path / "hostile"
    tables = tables_of("a-1")
    built(tables, plain, with_pii=True)
    for rows in tables.values():
        for row in rows:
            for name, value in row.items():
                if isinstance(value, str) and name not in ("conversation_id", "measure", "speaker"):
                    row[name] = HOSTILE
    tables[CURRENT][0]["last_error_code"] = HOSTILE
    tables["matcher_measures"] = [{"phrase_matcher": HOSTILE, "measure": "compliance_violation"}]
    built(tables, hostile, with_pii=True)

    pages = pages_of(hostile)
    assert len(pages) == len(pages_of(plain))
    for page in [*pages.values(), (hostile / "words.js").read_text("utf-8")]:
        assert not {"\u202e", "\x1b"} & set(page)
        assert "<script>alert" not in page
        assert "<b>" not in re.sub(r"<b>(agent|customer)</b>", "", page)
    assert all(page.count("<script") <= 2 for page in pages.values())
    assert sum(page.count("&lt;script&gt;alert") for page in pages.values()) > 20


def test_details_are_nowhere_in_the_site_unless_asked_for(tmp_path: Path) -> None:
    tables = tables_of("a-1")
    tables["ci_summaries"] = [{"conversation_id": "a-1", "summary": "Zebulon Quark rang."}]
    built(tables, tmp_path / "without")
    built(tables, tmp_path / "with", with_pii=True)

    def holding(folder: str, detail: str) -> list[str]:
        files = sorted(path for path in (tmp_path / folder).rglob("*") if path.is_file())
        return [path.name for path in files if detail in path.read_text("utf-8").lower()]

    assert holding("without", "quark") == holding("without", "ann lee") == []
    assert holding("with", "quark") == ["a-1.html", "pages.json", "words.js"]
    marked = pages_of(tmp_path / "with").values()
    assert all("Holds personal details" in page for page in marked)


def test_only_pages_whose_rows_changed_are_written(tmp_path: Path) -> None:
    tables = tables_of("a-1", "b-2", "c-3")
    first, _ = built(tables, tmp_path)
    again, _ = built(tables, tmp_path)
    tables["ci_turns"][-1]["text"] = "Changed words."
    changed, _ = built(tables, tmp_path)
    before = (tmp_path / "words.js").read_text("utf-8")
    tables[CURRENT].pop()
    gone, _ = built(tables, tmp_path)

    total = first.written
    assert (again, changed) == (Counts(0, total, 0), Counts(2, total - 2, 0))
    assert gone.removed == 1
    assert not (tmp_path / "conversations/c-3.html").exists()
    assert "changed" in before
    assert list(tmp_path.rglob("*.part")) == []


def test_the_page_of_tables_is_taken_in_where_it_was_made(tmp_path: Path) -> None:
    docs = tmp_path / "made.html"
    docs.write_text("<p>lineage</p>", "utf-8")
    for has_docs in (True, False):
        frame = Frame("proj", with_pii=False, has_docs=has_docs)
        counts = build_site(SiteReader(warehouse_of({})), None, frame, tmp_path / "s", docs)
        held = [name for name, page in pages_of(tmp_path / "s").items() if "docs.html" in page]
        if has_docs:
            assert (tmp_path / "s" / "docs.html").read_text("utf-8") == "<p>lineage</p>"
            assert len(held) == 7

    assert (held, counts.removed) == ([], 1)


def test_a_folder_that_is_made_is_for_its_owner_alone(tmp_path: Path) -> None:
    built(tables_of("a-1"), tmp_path / "site")

    assert (tmp_path / "site").stat().st_mode & 0o777 == 0o700


def test_a_damaged_memory_removes_nothing_and_all_is_written_again(tmp_path: Path) -> None:
    first, _ = built(tables_of("a-1"), tmp_path)
    precious = tmp_path.parent / "precious.html"
    precious.write_text("mine", "utf-8")
    (tmp_path / "pages.json").write_text(json.dumps({"../precious.html": ["x", ""]}), "utf-8")

    second, _ = built(tables_of("a-1"), tmp_path)

    assert (second, precious.read_text("utf-8")) == (Counts(first.written, 0, 0), "mine")
    for damaged in ("[", '{"index.html": 5}', "3"):
        (tmp_path / "pages.json").write_text(damaged, "utf-8")
        assert built(tables_of("a-1"), tmp_path)[0] == Counts(first.written, 0, 0)


def test_an_empty_warehouse_says_what_to_run(tmp_path: Path) -> None:
    found, gaps = built({}, tmp_path)
    page = pages_of(tmp_path)["index.html"]

    assert found.written > 5
    assert "ingest push FOLDER" in page
    assert "<code>dbt build</code> makes it" in page
    assert len(gaps) == 1
    assert CURRENT in gaps[0]
    assert "ingest local up" in pages_of(tmp_path)["runs.html"]


@pytest.mark.parametrize("lacking", [*tables_of("a-1"), "every second column"])
def test_a_half_built_or_older_warehouse_gives_what_it_has(tmp_path: Path, lacking: str) -> None:
    tables = tables_of("a-1", "b-2")
    if lacking in tables:
        del tables[lacking]
    else:
        tables = {
            name: [
                {key: row[key] for key in [next(iter(row)), *list(row)[1::2]]} for row in rows
            ]
            for name, rows in tables.items()
            if name not in ("matcher_measures", "conversation_files")
        }  # fmt: skip
    _, gaps = built(tables, tmp_path)

    is_seed_or_raw = lacking in ("matcher_measures", "conversation_files")
    assert (
        any(lacking in gap or "is older and lacks" in gap for gap in gaps) != is_seed_or_raw or gaps
    )
    assert "None" not in re.sub(r"<script.*", "", pages_of(tmp_path)["index.html"])


def test_calls_of_any_length_and_script_read_well(tmp_path: Path) -> None:
    tables = tables_of("long", "one", "none", "right")
    tables["ci_turns"] = [
        *talk("long", *["Yes."] * 900, step=12.0),
        *talk("one", "Hello."),
        *talk("none", "Hello.", "Hi.", "Bye.", step=None),
        *talk("right", "نعم، شكرا جزيلا لك على المساعدة", "שלום"),
    ]
    tables["ci_phrase_matches"] = []
    built(tables, tmp_path)
    pages = {name: page for name, page in pages_of(tmp_path).items() if "conversations/" in name}
    axes = {
        name.split("/")[1]: re.findall(r'text-anchor="middle">([^<]+)<', page)
        for name, page in pages.items()
    }

    assert axes["long.html"] == ["0:00", "30:00", "1:00:00", "1:30:00", "2:00:00", "2:30:00"]
    assert axes["one.html"] == []
    assert axes["none.html"] == ["turn 0", "turn 1", "turn 2"]
    assert '<p dir="auto">نعم، شكرا جزيلا لك على المساعدة</p>' in pages["conversations/right.html"]
    assert '<a href="#turn-899">2:59:48</a>' in pages["conversations/long.html"]


@given(st.floats(0, 400_000))
def test_a_time_axis_has_few_ticks_for_any_length(end: float) -> None:
    ticks = time_ticks(end)

    assert 1 <= len(ticks) <= 9
    assert ticks[0] == (0, "0:00")
    assert ticks[-1][0] <= end
    assert len({name for _, name in ticks}) == len(ticks)


def test_a_clock_has_hours_only_where_there_are_some() -> None:
    assert [clock(0), clock(65.9), clock(3600), clock(10_799)] == [
        "0:00", "1:05", "1:00:00", "2:59:59",
    ]  # fmt: skip


@given(st.lists(st.text(max_size=60), unique=True, max_size=8))
def test_names_of_pages_are_safe_and_differ(keys: list[str]) -> None:
    names = [page_name(key) for key in keys]

    assert len(set(names)) == len(keys)
    assert all(re.fullmatch(r"[a-z0-9_-]{1,80}", name) for name in names)


@given(st.lists(st.sets(st.sampled_from("abcdef"), max_size=5), max_size=90))
def test_the_index_of_words_gives_the_places_of_each(talks: list[set[str]]) -> None:
    index = WordIndex()
    for words in talks:
        index.add(" ".join(sorted(words)))
    held = json.loads(index.script().removeprefix("window.words = ").rstrip(";\n"))

    digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    found: dict[str, list[int]] = {}
    for word, places in zip(held["words"].split(), held["places"].split(), strict=True):
        at, number, shift = -1, 0, 0
        for letter in places:
            digit = digits.index(letter)
            number |= (digit & 31) << shift
            shift += 5
            if digit < 32:
                at, number, shift = at + number, 0, 0
                found.setdefault(word, []).append(at)
    words = sorted(set().union(*talks))
    assert found == {word: [i for i, talk in enumerate(talks) if word in talk] for word in words}
