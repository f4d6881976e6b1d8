from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from ingest.cli import data
from ingest.cli._console import ErrorGroup
from tests.fakes.folders import DATE, LATER_DATE, conversation_id, write

ROOT = Path(__file__).parents[3]
SAMPLE = ROOT / "tests" / "fixtures" / "foreign_transcripts" / "twilio.json"
DEFAULTS = """
direction: INBOUND
business_line: LOANS
queue: support
agent_team: Support
agent_site: Perth
campaign_id: C-1
call_outcome: INFORMATION_GIVEN
"""

app = typer.Typer(cls=ErrorGroup)
app.add_typer(data.app, name="data")


@pytest.fixture(autouse=True)
def _in_the_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["data", *map(str, arguments)], catch_exceptions=False)
    return result.exit_code, result.stdout, result.stderr


def test_generate_then_validate_strictly(tmp_path: Path) -> None:
    code, out, _ = run("generate", "--count", 12, "--out", tmp_path, "--json")
    made = json.loads(out)

    assert (code, made["conversations"], made["dates"]) == (0, 12, ["2026-01-05"])
    code, out, err = run("validate", tmp_path, "--strict", "--json")
    assert (code, json.loads(out), err) == (
        0,
        {"conversations": 12, "errors": 0, "warnings": 0, "faults": [], "converted": None},
        "",
    )


def test_generate_prints_asked_against_achieved(tmp_path: Path) -> None:
    code, out, _ = run("generate", "--count", 5, "--out", tmp_path)

    assert code == 0
    assert "payment_plan_agreed" in out
    assert out.splitlines()[-1].startswith("5 conversations, ")


def test_validate_tells_of_an_id_in_two_date_folders(tmp_path: Path) -> None:
    write(tmp_path, conversation_id(1))
    write(tmp_path, conversation_id(1), LATER_DATE)
    write(tmp_path, conversation_id(2), LATER_DATE)

    code, out, _ = run("validate", tmp_path, "--json")

    told = [
        (fault["file"], fault["message"])
        for fault in json.loads(out)["faults"]
        if fault["rule"] == "delivered_twice"
    ]
    assert code == 0
    assert told == [
        (
            f"{LATER_DATE}/{conversation_id(1)}",
            f"the same conversation id is in {DATE} too; both are kept as versions by their dates",
        )
    ]


def test_validate_fails_on_faults_and_tells_place_and_cure(tmp_path: Path) -> None:
    run("generate", "--count", 3, "--out", tmp_path, "--dirty", "bad_enum=100%")

    code, out, _ = run("validate", tmp_path)

    assert code == 1
    assert "unknown_value: input should be" in out
    assert "  hint: use one of the values named" in out
    assert out.splitlines()[-1] == "3 conversations, 3 errors, 0 warnings"


def test_warnings_fail_only_when_strict(tmp_path: Path) -> None:
    run("generate", "--count", 3, "--out", tmp_path, "--dirty", "missing_file=100%")

    assert run("validate", tmp_path)[0] == 0
    assert run("validate", tmp_path, "--strict")[0] == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("generate", "--out", "x", "--dirty", "nonsense=1%"),
        ("generate", "--out", "x", "--profile", "nowhere.yaml"),
        ("generate", "--out", "x", "--seeds", "nowhere"),
        ("generate", "--out", "pyproject.toml"),
        ("validate", "nowhere"),
        ("report", "ingest"),
        ("convert", "nowhere.json", "--from", "fax", "--out", "x"),
    ],
)
def test_a_wrong_call_is_a_usage_error_of_two_lines(arguments: tuple[str, ...]) -> None:
    code, out, err = run(*arguments)

    assert (code, out) == (2, "")
    assert [line[:7] for line in err.splitlines()[:2]] == ["error: ", "hint:  "]


def test_report_shows_two_sets_and_writes_a_page(tmp_path: Path) -> None:
    run("generate", "--count", 8, "--out", tmp_path / "data")
    page = tmp_path / "report.html"

    code, out, err = run(
        "report", tmp_path / "data", "--against", "seeds/conversations", "--html", page
    )

    assert code == 0
    assert out.splitlines()[0].split()[1] == "…s/conversations"
    assert out.splitlines()[1].split() == ["conversations", "8", "24"]
    assert max(map(len, out.splitlines())) <= 80
    assert page.read_text(encoding="utf-8").count("<svg") == 8
    assert err == f"page written to {page}\n"


def test_report_as_json(tmp_path: Path) -> None:
    run("generate", "--count", 4, "--out", tmp_path)

    code, out, _ = run("report", tmp_path, "--json")

    (figures,) = json.loads(out)
    assert (code, figures["conversations"]) == (0, 4)


def test_validate_names_the_format_that_folders_look_like(tmp_path: Path) -> None:
    folder = tmp_path / "2026-01-06" / "9c2b7f1e-4d0a-4a63-8f7e-0b5f3f0d2a23"
    shutil.copytree(SAMPLE.parent / "cc-coach", folder)

    code, _, err = run("validate", tmp_path)

    assert (code, err) == (
        1,
        "hint: they look like cc-coach: ingest data convert --from cc-coach\n",
    )


def test_convert_writes_folders_that_validate_and_says_what_failed(tmp_path: Path) -> None:
    (tmp_path / "context.yaml").write_text(DEFAULTS)
    (tmp_path / "bad.json").write_text("{}")
    arguments = ("--defaults", tmp_path / "context.yaml", "--out", tmp_path / "data")

    code, out, err = run("convert", SAMPLE, tmp_path / "bad.json", "--from", "twilio", *arguments)

    folder = tmp_path / "data" / "2026-01-05" / "gt0123456789abcdef0123456789abcdef"
    summary = "2 read: 1 written, 0 joined, 1 refused, 0 left out"
    assert (code, out) == (1, f"{folder}\n{summary}\n")
    assert "error: bad.json: when: the mapping's conditions don't hold\nhint:  it holds no" in err
    assert "no field of ours holds /transcript/channel/media_properties/source_sid, " in err
    assert run("validate", tmp_path / "data")[0] == 0


def test_a_mapping_beside_the_files_is_used_and_its_context(tmp_path: Path) -> None:
    (tmp_path / "mapping.yaml").write_text(
        "mapping: 1\nextends: twilio\nname: ours\n"
        "context: {file: calls.csv, key: transcript.sid, column: sid}\n"
        "conversation: {queue: {context: skill}}\n"
        "custom: {case: {context: case, type: integer}}\n"
        f"defaults: {{{', '.join(line for line in DEFAULTS.split(chr(10)) if line)}}}\n"
    )
    (tmp_path / "calls.csv").write_text(
        "sid,skill,case\nGT0123456789abcdef0123456789abcdef,billing,77\n"
    )
    (tmp_path / "a.json").write_bytes(SAMPLE.read_bytes())

    code, out, err = run("convert", tmp_path, "--out", tmp_path / "out", "--json")

    result = json.loads(out)
    metadata = json.loads((Path(result["written"][0]) / "metadata.json").read_text("utf-8"))
    custom = metadata.get("custom", metadata["source"].get("custom"))
    assert (code, metadata["queue"], custom) == (0, "billing", {"case": 77})
    assert (result["read"], result["left_out"], err) == (1, [], "")


def _foreign(folder: Path, mapping: Path) -> None:
    """Write a call of another system, a file that is none, and the mapping that tells of both."""
    folder.mkdir(exist_ok=True)
    (folder / "a.json").write_bytes(SAMPLE.read_bytes())
    (folder / "notes.txt").write_text("Nothing.")
    lines = "".join(f"  {line}\n" for line in DEFAULTS.split("\n") if line)
    mapping.write_text(f"mapping: 1\nextends: twilio\nname: ours\ndefaults:\n{lines}")


@pytest.mark.parametrize("is_named", [False, True])
def test_validate_judges_what_a_mapping_makes_and_leaves_the_files(
    tmp_path: Path, is_named: bool
) -> None:
    source = tmp_path / "in"
    mapping = (tmp_path if is_named else source) / "mapping.yaml"
    source.mkdir()
    _foreign(source, mapping)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    named = ("--mapping", mapping) if is_named else ()

    code, out, _ = run("validate", source, *named, "--json")
    strict, _, err = run("validate", source, *named, "--strict")

    found = json.loads(out)
    assert (code, found["conversations"], found["errors"]) == (0, 1, 0)
    assert found["converted"]["written"] == ["2026-01-05/gt0123456789abcdef0123456789abcdef"]
    assert found["converted"]["left_out"] == [
        {"file": "notes.txt", "reason": "the mapping reads json"}
    ]
    assert "2 read: 1 written, 0 joined, 0 refused, 1 left out" in err
    assert strict == (1 if found["warnings"] else 0)
    assert {path: path.read_bytes() for path in before} == before
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == sorted(before)


def test_strict_refuses_what_the_mapping_warns_of(tmp_path: Path) -> None:
    _foreign(tmp_path, tmp_path / "mapping.yaml")
    with (tmp_path / "mapping.yaml").open("a") as file:
        file.write("conversation: {queue: {const: x, map: {y: z}}}\n")

    _, out, _ = run("validate", tmp_path, "--json")
    code, strict, _ = run("validate", tmp_path, "--strict", "--json")

    told = json.loads(out)["converted"]["warnings"]
    assert ("unmapped_value", "conversation.queue", 1) in [
        (each["rule"], each["place"], each["count"]) for each in told
    ]
    refused = json.loads(strict)["converted"]["refused"]
    assert (code, [(each["file"], each["line"], each["hint"]) for each in refused]) == (
        1,
        [("a.json", "conversation.queue", "map it, or leave --strict out")],
    )


@pytest.mark.parametrize("is_file", [False, True])
def test_files_of_another_system_are_told_their_way_in(tmp_path: Path, is_file: bool) -> None:
    (tmp_path / "a.json").write_bytes(SAMPLE.read_bytes())

    code, _, err = run("validate", tmp_path / "a.json" if is_file else tmp_path)

    assert (code, err.splitlines()[1]) == (
        2,
        "hint:  a.json looks like twilio: write `mapping: 1` and `extends: twilio` to mapping.yaml "
        "beside it",
    )


def test_what_a_mapping_refuses_fails_a_validation(tmp_path: Path) -> None:
    _foreign(tmp_path, tmp_path / "mapping.yaml")
    (tmp_path / "a.json").write_text('{"transcript": {"sid": "GT1", "channel": {}}, "sentences": [')

    code, out, _ = run("validate", tmp_path, "--json")

    found = json.loads(out)
    assert (code, found["conversations"], found["faults"]) == (1, 0, [])
    assert [each["file"] for each in found["converted"]["refused"]] == ["a.json"]


def test_a_mapping_that_takes_nothing_of_the_source_is_a_usage_error(tmp_path: Path) -> None:
    _foreign(tmp_path, tmp_path / "mapping.yaml")
    (tmp_path / "a.json").write_text("{}")

    code, _, err = run("validate", tmp_path)

    counts = "2 read: 0 written, 0 joined, 0 refused, 2 left out"
    assert (code, err.splitlines()[0]) == (
        2,
        f"error: the mapping takes nothing of {tmp_path}: {counts}",
    )


@pytest.mark.parametrize("is_named", [False, True])
def test_a_mapping_that_came_with_the_files_reads_no_table_elsewhere(
    tmp_path: Path, is_named: bool
) -> None:
    source = tmp_path / "in"
    source.mkdir()
    mapping = source / "mapping.yaml"
    mapping.write_text(
        "mapping: 1\nextends: twilio\n"
        "context: {file: ../calls.csv, key: transcript.sid, column: sid}\n"
    )
    (tmp_path / "calls.csv").write_text("sid,queue\nother,q\n")
    named = ("--mapping", mapping) if is_named else ()

    code, _, err = run("convert", source, "--out", tmp_path / "out", *named)

    assert ("leaves its folder" in err) is not is_named
    assert code == (1 if is_named else 2)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("5: x", "unknown field 5"),
        ("labels: foo", "labels are no names with values"),
        ("custom: {1: x}", "none of JSON"),
    ],
)
def test_defaults_that_are_none_are_told(tmp_path: Path, content: str, told: str) -> None:
    (tmp_path / "d.yaml").write_text(content)
    arguments = ("--from", "twilio", "--out", tmp_path, "--defaults", tmp_path / "d.yaml")

    code, _, err = run("convert", SAMPLE, *arguments)

    assert (code, told in err) == (2, True)


def test_convert_without_a_mapping_names_the_format_that_fits(tmp_path: Path) -> None:
    code, out, err = run("convert", SAMPLE, "--out", tmp_path)

    assert (code, out) == (2, "")
    assert err == (
        "error: no mapping is named\nhint:  twilio.json: it looks like twilio: --from twilio\n"
    )


def test_convert_of_an_unknown_format_names_the_command_that_proposes_one(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{}")

    code, _, err = run("convert", tmp_path / "x.json", "--out", tmp_path / "out")

    assert (code, err.splitlines()[1]) == (
        2,
        "hint:  `ingest data map --explain x.json` proposes a mapping",
    )


def test_map_lists_formats_and_explains_a_file() -> None:
    code, out, _ = run("map")
    names = [line.split()[0] for line in out.splitlines()]

    assert code == 0
    assert names == sorted(names)
    assert {"contact-lens", "genesys", "webvtt", "csv-calls"} < set(names)

    code, out, _ = run("map", "--explain", SAMPLE)

    lines = [line.split() for line in out.splitlines()]
    assert (code, out.splitlines()[0]) == (0, "twilio.json, read as twilio")
    assert ["turns[].text", "3", "of", "3", "transcript"] in lines
    assert ["/transcript/channel/type", "string"] in lines


def test_an_unknown_field_of_the_defaults_is_named(tmp_path: Path) -> None:
    (tmp_path / "context.yaml").write_text("agnt_id: x\n")
    arguments = ("--defaults", tmp_path / "context.yaml", "--out", tmp_path)

    code, _, err = run("convert", SAMPLE, "--from", "twilio", *arguments)

    assert code == 2
    assert "unknown field agnt_id; did you mean agent_id?" in err
