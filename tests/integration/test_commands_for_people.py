"""Every command that reads, against a stack: good, missing and broken ids, and no leaks."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from output_checks import output_name, spoiled, validator
from people_fixture import ANALYSED, DATE, FORGOTTEN, SEEDS, People

from ingest.cli import COMMANDS
from ingest.cli._console import width_of
from ingest.cli._lazy import load_command

pytestmark = pytest.mark.stack
MISSING = "00000000-0000-4000-8000-000000000000"
READING = ("status", "runs", "errors", "why", "show", "transcript", "coach", "diff", "ls", "bq")
READING += ("report",)
JSON_OUTPUTS = {
    "status": "status",
    "status --date 2025-12-28": "status",
    "runs": "runs",
    "errors": "errors",
    "errors --group": "errors_group",
    f"why {ANALYSED}": "why",
    f"show {ANALYSED}": "show",
    f"show {FORGOTTEN}": "show",
    f"why {FORGOTTEN}": "why",
    f"show {ANALYSED} --hop source": "show_source",
    f"show {ANALYSED} --hop gcs": "show_gcs",
    f"show {ANALYSED} --hop ci": "show_ci",
    f"show {FORGOTTEN} --hop ci": "show_ci",
    f"show {ANALYSED} --hop raw": "show_raw",
    f"show {ANALYSED} --hop registry": "show_registry",
    f"show {ANALYSED} --hop marts": "show_marts",
    f"transcript {ANALYSED}": "transcript",
    f"coach {ANALYSED}": "coach",
    "coach --queue": "coach_queue",
    "coach --agent AGT-1017": "coach_agent",
    "rubric plan --impact": "rubric_plan",
    f"diff {ANALYSED}": "diff",
    f"diff {ANALYSED} v1 v2": "diff_versions",
    "ls gcs": "ls_gcs",
    "ls ci": "ls_ci",
    "ls raw": "ls_raw",
    "ls marts": "ls_marts",
    "ls matchers": "ls_matchers",
    "bq tables": "bq_tables",
    "bq schema pipeline_events": "bq_schema",
    "bq diff pipeline_events": "bq_diff",
    "bq head pipeline_events": "bq_head",
    "bq query 'select 1 as a'": "bq_query",
    "bq count pipeline_events": "bq_count",
    "health": "health",
    "doctor": "doctor",
    "schema diff": "schema_diff",
    "local status": "local_status",
    "report": "report",
    "report --date 2025-12-28": "report",
}
UNBUILT = {"INGEST_MARTS_DATASET": "never_built"}
ROWS = ("bq head", "bq query")
"""Commands whose rows are printed as --format says."""
OF_ANY_KEYS = ("show_ci", "bq_head", "bq_query")
"""What Google or a statement names the keys of."""
SHOWS_THE_TALK = (f"transcript {ANALYSED}", f"coach {ANALYSED}", f"show {ANALYSED} --hop ci")


def _examples() -> Iterator[tuple[str, list[str]]]:
    for name, place in COMMANDS.items():
        command = load_command(name, place)
        for leaf in (getattr(command, "commands", None) or {name: command}).values():
            if name in READING:
                example = leaf.epilog.partition("Example: ingest ")[2]
                yield example, shlex.split(example)


@pytest.mark.parametrize(
    ("example", "words"), [pytest.param(*each, id=each[0]) for each in _examples()]
)
def test_the_example_of_a_help_page_runs(
    people: People, example: str, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    result = people.run(*words)

    is_difference = words[0] == "diff"
    assert result.exit_code == (1 if is_difference else 0), result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("command", JSON_OUTPUTS)
def test_json_output_is_as_its_published_schema_says(people: People, command: str) -> None:
    judge = validator(JSON_OUTPUTS[command])
    as_json = ("--format", "json") if command.startswith(ROWS) else ("--json",)

    printed = json.loads(people.run(*shlex.split(command), *as_json).stdout)

    assert output_name(shlex.split(command)) == JSON_OUTPUTS[command]
    assert [error.message for error in judge.iter_errors(printed)] == []
    if JSON_OUTPUTS[command] not in OF_ANY_KEYS:
        assert [each for each in spoiled(printed) if judge.is_valid(each)] == []


@pytest.mark.parametrize("command", JSON_OUTPUTS)
def test_in_a_terminal_of_80_columns_no_line_is_wider(people: People, command: str) -> None:
    lines = people.run_in_terminal(80, *shlex.split(command))

    # A path is one word, which can be pasted only as long as nothing breaks it.
    assert [line for line in lines if width_of(line) > 80 and " " in line.strip()] == []
    assert lines != []


def test_in_a_pipe_names_ids_and_hashes_are_whole(people: People) -> None:
    listed = people.run("ls", "gcs").stdout
    shown = people.run("show", ANALYSED, "--source", str(people.folder)).stdout

    for held in people.json("ls", "gcs"):
        assert held["name"] in listed
        assert held["content_sha256"] is None or held["content_sha256"] in listed
    found = people.json("show", ANALYSED, "--source", str(people.folder))
    for held in (*found["gcs"], *found["raw"]["files"]):
        assert held["content_sha256"] in shown
    assert {row["run_id"] for row in found["raw"]["events"]} <= set(shown.split())
    assert {row["name"] for row in found["gcs"]} <= set(shown.split())


@pytest.mark.parametrize("command", ["why", "show", "transcript", "coach", "diff"])
@pytest.mark.parametrize("broken", [MISSING, "../../etc/passwd", "Robert'); drop table x;--", "ab"])
def test_a_missing_or_broken_id_is_a_usage_error_and_prints_no_result(
    people: People, command: str, broken: str
) -> None:
    result = people.run(command, broken)

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("error: ")
    assert "hint:  " in result.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("status", "--date", "someday"),
        ("status", "--watch", "--json"),
        ("ls", "raw", "--date", "2025-13-01"),
        ("bq", "schema", "nothing_here"),
        ("bq", "count", "a.b.c"),
        ("bq", "query", "selec 1"),
        ("bq", "query", ""),
        ("bq", "query", "drop table coach_raw.pipeline_events"),
        ("bq", "query", "select 1; drop table coach_raw.pipeline_events"),
        ("bq", "query", "select @a", "-p", "b=1"),
        ("diff", ANALYSED, "1", "2"),
        ("report", "--html", "no/such/folder/page.html"),
        ("ls", "ci", "--after", MISSING),
        ("ls", "ci", "--where", 'nope="1"'),
        ("ls", "raw", "--status", "nonsense"),
        ("report", "--html", ""),
        ("report", "--html", "--json"),
        ("report", "--with-pii"),
        ("show", ANALYSED, "--html", "--hop", "ci"),
        ("show", ANALYSED, "--html=", "--with-pii"),
        ("show", ANALYSED, "--with-pii"),
    ],
)
def test_what_cannot_be_done_is_refused_with_a_hint(people: People, words: tuple[str, ...]) -> None:
    result = people.run(*words)

    assert result.exit_code == 2, result.output
    assert "hint:  " in result.stderr


@pytest.mark.parametrize(
    ("words", "away"),
    [
        (("status",), {"INGEST_BIGQUERY_ENDPOINT": "http://127.0.0.1:9"}),
        (("health",), {"INGEST_BIGQUERY_ENDPOINT": "http://127.0.0.1:9"}),
        (("show", ANALYSED, "--hop", "ci", "--json"), {"INGEST_INSIGHTS_ENDPOINT": "127.0.0.1:9"}),
        (("show", ANALYSED, "--hop", "gcs"), {"INGEST_GCS_ENDPOINT": "http://127.0.0.1:9"}),
    ],
    ids=["status", "health", "hop ci", "hop gcs"],
)
def test_a_service_that_is_away_ends_in_4_and_prints_no_result(
    people: People, words: tuple[str, ...], away: dict[str, str]
) -> None:
    result = people.run(*words, **away)

    assert (result.exit_code, result.stdout) == (4, "")
    assert "error: " in result.stderr


@pytest.mark.parametrize(
    ("command", "unknown"),
    [("status", lambda found: found["in_bucket"]), ("runs", lambda found: found[0]["state"])],
)
def test_what_runs_now_is_unknown_and_ends_in_4_while_the_bucket_is_away(
    people: People, command: str, unknown: Callable[[Any], Any]
) -> None:
    result = people.run(command, "--json", INGEST_GCS_ENDPOINT="http://127.0.0.1:9")

    assert (result.exit_code, unknown(json.loads(result.stdout))) in [(4, None), (4, "unknown")]
    assert "note: what runs now isn't known: GCS: UNAVAILABLE" in result.stderr


def test_why_is_unknown_and_ends_in_4_while_ci_is_away(people: People) -> None:
    result = people.run(
        "why", ANALYSED, "--source", str(people.folder), INGEST_INSIGHTS_ENDPOINT="127.0.0.1:9"
    )

    assert result.exit_code == 4
    assert "is unknown" in result.stdout
    assert result.stdout.splitlines()[-1] == "ingest doctor"


def test_marts_that_were_never_built_are_told_with_what_to_run(people: People) -> None:
    listed = people.run("ls", "marts", **UNBUILT)
    why = people.run("why", ANALYSED, "--source", str(people.folder), **UNBUILT)
    report = people.run("report", **UNBUILT).stdout
    health = people.run("health", **UNBUILT).stdout

    assert (listed.exit_code, listed.stderr.count("dbt build")) == (2, 1)
    assert why.stdout.splitlines()[-1] == "dbt build"
    assert report.count("not known yet: run `dbt build`") == 4
    assert "quarantined        the marts were never built\n" in health


def set_aside(people: People) -> int:
    """Return how many conversations dbt has set aside."""
    sql = "select count(distinct conversation_id) as n from coach.quarantined_conversations"
    (row,) = json.loads(people.run("bq", "query", sql, "--format", "json").stdout)
    return int(row["n"])


def test_status_counts_every_conversation_once(people: People) -> None:
    found = people.json("status")

    (date,) = found["dates"]
    counts = {
        name: date[name]
        for name in ("received", "complete", "submitted", "analysed", "waiting", "in_registry")
    }
    assert counts == {
        "received": 4,
        "complete": 3,
        "submitted": 3,
        "analysed": 3,
        "waiting": 1,
        "in_registry": 4,
    }
    assert date["batch_date"] == DATE
    assert (found["forgotten"], found["forgotten_in_marts"]) == (1, 1)
    assert found["quarantined"] == set_aside(people)


def test_status_says_that_the_marts_still_hold_what_was_erased(people: People) -> None:
    shown = people.run("status").stdout

    assert "the registry still holds 1 erased conversation: run `dbt build`" in shown


@pytest.mark.parametrize(
    ("which", "status", "command"),
    [
        ("analysed", "done", None),
        ("waiting", "waiting_for_transcript", "ingest push {source}"),
        ("local", "local", "ingest push {source}"),
        ("refused", "invalid", "ingest data validate {source}"),
        ("forgotten", "forgotten", "dbt build"),
    ],
)
def test_why_says_what_to_run(people: People, which: str, status: str, command: str | None) -> None:
    ids = {
        "analysed": ANALYSED,
        "waiting": people.waiting_id,
        "local": people.local_id,
        "refused": people.refused_id,
        "forgotten": people.forgotten_id,
    }
    words = ("why", ids[which], "--source", str(people.folder))

    found = people.json(*words)

    source = (people.folder / DATE).as_posix()
    assert found["status"] == status
    assert found["command"] == (command and command.format(source=source))


def test_a_report_has_cost_matchers_agents_failures_and_runs(people: People) -> None:
    of_date = people.json("report", "--date", DATE)
    of_another = people.json("report", "--date", "2025-12-29")
    shown = people.run("report").stdout

    assert of_date["cost"]["analysis_count"] == 5
    assert of_another["cost"] == {
        "analysis_count": 0,
        "billing_unit_count": 0,
        "score_count": 0,
        "topic_count": 0,
        "cost_usd": "0",
    }
    assert of_date["funnel"] == {
        "delivered_count": 5,
        "complete_count": 4,
        "in_insights_count": 4,
        "analysed_count": 4,
        "refused_count": 0,
        "quarantined_count": set_aside(people),
    }
    assert of_another["funnel"] == dict.fromkeys(of_date["funnel"], 0)
    assert (of_another["agents"], of_another["runs"]) == ([], [])
    assert of_another["status"]["runs"] == []
    assert sum(agent["conversation_count"] for agent in of_date["agents"]) == 4
    assert {item["judged_conversation_count"] for item in of_date["matchers"]} == {1}
    assert of_date["over_all_dates"] == ["matchers"]
    titles = [line for line in shown.splitlines() if line and not line.startswith(" ")]
    assert titles[-7:] == [
        "funnel, all dates",
        "failed steps by code",
        "seconds by step",
        "runs",
        "cost of Insights analyses, all dates",
        "phrase matchers against labels, all dates",
        "agents, all dates",
    ]


def test_show_counts_rows_in_marts_where_it_is_asked_to(people: People) -> None:
    counted = people.json("show", ANALYSED, "--hop", "marts")

    plain = people.run("show", ANALYSED).stdout
    asked = people.run("show", ANALYSED, "--hop", "marts").stdout

    assert plain.splitlines()[-1] == "MARTS     not counted: add `--hop marts`"
    assert {row["table"]: row["row_count"] for row in counted}["conversation_registry"] == 2
    assert [line.split() for line in asked.splitlines()[4:]] == [
        [row["table"], str(row["row_count"])] for row in counted
    ]


def test_show_has_every_hop_of_a_conversation_that_was_pushed_twice(people: People) -> None:
    found = people.json("show", ANALYSED, "--source", str(people.folder))

    hashes = {row["content_sha256"] for row in found["raw"]["files"]}
    assert len(found["raw"]["files"]) == 4
    assert {file["content_sha256"] for file in found["source"]} < hashes
    assert found["ci"]["transcript_sha256"] in hashes
    assert [held["is_live"] for held in found["gcs"]].count(True) >= 3
    assert [(row["version_number"], row["is_current"]) for row in found["registry"]] == [
        (1, False),
        (2, True),
    ]
    assert {row["table"] for row in found["marts"]} >= {
        "ci_turns",
        "conversation_registry",
    }
    assert found["problems"] == {}


@pytest.mark.parametrize(
    ("words", "file"),
    [(("show", ANALYSED, "--html"), f"{ANALYSED}.html"), (("report", "--html"), "report.html")],
    ids=["show", "report"],
)
def test_a_page_is_written_to_its_own_name_or_to_stdout(
    people: People,
    words: tuple[str, ...],
    file: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)

    written = people.run(*words)
    printed = people.run(*words, "-")

    page = Path(".local/site") / file
    assert (written.exit_code, written.stdout) == (0, f"{page}\n")
    assert [path for path in Path().rglob("*") if path.is_file()] == [page]
    assert {folder.stat().st_mode & 0o777 for folder in page.parents[:2]} == {0o700}
    assert page.read_text("utf-8").startswith("<!doctype html>")
    assert printed.stdout.startswith("<!doctype html>")
    ids = re.findall(r'\bid="([^"]+)"', printed.stdout)
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("which", ["waiting", "local", "refused", "forgotten"])
def test_a_page_of_a_conversation_without_a_landed_talk_is_made(people: People, which: str) -> None:
    ids = {
        "waiting": people.waiting_id,
        "local": people.local_id,
        "refused": people.refused_id,
        "forgotten": people.forgotten_id,
    }

    page = people.run("show", ids[which], "--source", str(people.folder), "--html", "-")

    assert page.exit_code == 0, page.stderr
    assert ("No transcript of it is known" in page.stdout) is (which != "local")


def test_a_site_before_the_first_build_says_what_to_run(people: People, tmp_path: Path) -> None:
    made = people.run("site", "--out", str(tmp_path / "site"), INGEST_MARTS_DATASET="never_built")

    page = tmp_path / "site" / "index.html"
    assert (made.exit_code, made.stdout) == (0, f"{page}\n")
    assert "not built yet: agent_weekly, call_dynamics" in made.stderr
    assert "No conversation is in the registry" in page.read_text("utf-8")
    assert "<h2" in page.with_name("runs.html").read_text("utf-8")


def test_a_page_of_a_conversation_has_every_hop(people: People) -> None:
    page = people.run("show", ANALYSED, "--source", str(people.folder), "--html", "-").stdout

    captions = re.findall(r"<caption>([^<]+)</caption>", page)
    rows = [part.split("</table>")[0].count("<tr>") - 1 for part in page.split("<caption>")[1:]]
    assert dict(zip(captions, [count > 0 for count in rows], strict=True)) == dict.fromkeys(
        [
            "Versions in the registry",
            "Source files on this machine",
            "Objects in the bucket",
            "Analyses that Insights holds",
            "Raw table conversation_files",
            "Raw table ci_conversations",
            "Raw table pipeline_events",
            "Rows in marts",
        ],
        True,
    )


def test_the_ci_hop_as_json_is_all_that_ci_holds(people: People) -> None:
    payload = people.json("show", ANALYSED, "--hop", "ci")

    assert payload["name"].endswith(ANALYSED)
    assert payload["transcript"]["transcriptSegments"][-1]["text"] == "Changed words."


def test_a_difference_of_versions_names_field_and_turn(people: People) -> None:
    result = people.run("diff", ANALYSED, "v1", "v2", "--text")

    assert result.exit_code == 1
    assert '-> "another-queue"' in result.stdout
    assert "+ Changed words." in result.stdout


def test_a_hostile_transcript_prints_no_control_character(people: People) -> None:
    printed = people.run("transcript", people.markup_id).stdout

    assert '<script>alert("planted")</script> ?]0;owned? ?gnirts' in " ".join(printed.split())
    assert not {"\x07", "\u202e"} & set(printed)


def test_a_page_of_the_list_goes_on_behind_the_last_key(people: People) -> None:
    whole = [row["conversation_id"] for row in people.json("ls", "raw")]

    paged: list[str] = []
    while len(paged) < len(whole):
        more = people.json("ls", "raw", "--limit", "1", *(["--after", paged[-1]] if paged else []))
        paged += [row["conversation_id"] for row in more]

    assert paged == whole


def test_a_list_says_that_there_is_more_only_when_there_is(people: People) -> None:
    count = len(people.json("ls", "raw"))

    part = people.run("ls", "raw", "--limit", str(count - 1))
    whole = people.run("ls", "raw", "--limit", str(count))

    assert (part.stderr.count("there is more: add --after "), whole.stderr) == (1, "")


def test_a_query_takes_parameters_from_stdin_and_prints_csv(people: People) -> None:
    sql = "select @word as word, @n + 1 as n"

    result = people.run(
        "bq", "query", "-", "-p", "word=a,b", "-p", "n:INT64=1", "--format", "csv", stdin=sql
    )

    assert (result.exit_code, result.stdout) == (0, 'word,n\n"a,b",2\n')


def test_numbers_that_json_lacks_are_text(people: People) -> None:
    sql = "select ieee_divide(0, 0) as a, [ieee_divide(1, 0), ieee_divide(-1, 0)] as b"

    result = people.run("bq", "query", sql, "--format", "json")

    assert json.loads(result.stdout) == [{"a": "NaN", "b": ["Infinity", "-Infinity"]}]


def test_a_statement_that_writes_runs_when_asked_to(people: People) -> None:
    made = people.run(
        "bq", "query", "create table coach_staging.scratch as select 1 as a", "--write"
    )
    counted = people.run("bq", "count", "coach_staging.scratch")
    dropped = people.run("bq", "query", "drop table coach_staging.scratch", "--write")

    assert (made.exit_code, counted.stdout) == (0, "1\n")
    assert (dropped.exit_code, dropped.stdout) == (0, "")
    assert dropped.stderr.endswith("done: the statement gives no rows\n")


def test_no_personal_detail_is_in_a_log_or_in_output_that_shows_no_talk(people: People) -> None:
    planted = people.planted()
    sinks = {f"push {place}": push.output for place, push in enumerate(people.pushes)}
    commands = [command for command in JSON_OUTPUTS if command not in SHOWS_THE_TALK]
    for command in (*commands, f"why {people.markup_id}", f"show {people.markup_id}"):
        words = shlex.split(command)
        as_json = ["--format", "json"] if command.startswith(ROWS) else ["--json"]
        for arguments in (words, [*words, *as_json]):
            result = people.run(*arguments)
            sinks[" ".join(arguments)] = result.stdout + result.stderr

    leaks = {name: {word for word in planted if word in text} for name, text in sinks.items()}

    assert len(planted) > 9
    assert {name: words for name, words in leaks.items() if words} == {}
    spoken = people.run("transcript", people.markup_id, "--json").stdout
    assert any(word in spoken for word in planted), "the canary must be able to sing"


def test_readme_names_every_command_with_its_summary() -> None:
    readme = (SEEDS.parent / "README.md").read_text(encoding="utf-8")
    rows: dict[str, Any] = {}
    for line in readme.splitlines():
        if line.startswith("| `ingest "):
            name, summary = (cell.strip() for cell in line.strip("| ").split(" | ", 1))
            rows[name.strip("`").removeprefix("ingest ")] = summary

    assert rows == {name: place.summary for name, place in COMMANDS.items()}
