"""Samples of foreign formats and what each is converted to.

A sample is `NAME.*`, or the folder `NAME`, of the bundled mapping NAME; `NAME.expected.json` is
what it becomes. `python -m tests.format_samples` writes those: read what changed.
"""

from __future__ import annotations

import dataclasses
import json
import tempfile
from pathlib import Path
from typing import Any

import orjson

import ingest
from ingest.domain.converted import Converted
from ingest.flows.convert import Job, convert
from ingest.formats.engine import Engine
from ingest.formats.explaining import explanation
from ingest.formats.mapping_files import bundled_names, load_bundled

SAMPLES = Path(__file__).parent / "fixtures" / "foreign_transcripts"
NAMES = bundled_names()
DEFAULTS = {
    "direction": "INBOUND",
    "business_line": "LOANS",
    "medium": "PHONE_CALL",
    "language_code": "en-AU",
    "queue": "support",
    "agent_id": "A-1",
    "agent_name": "Kim Lee",
    "agent_team": "Support",
    "agent_site": "Perth",
    "campaign_id": "C-1",
    "call_outcome": "INFORMATION_GIVEN",
    "started_at": "2026-01-06T07:30:00+08:00",
}
SPEAKERS = "0=AGENT 1=CUSTOMER 2=AGENT A=AGENT B=CUSTOMER SPEAKER_00=AGENT SPEAKER_01=CUSTOMER"


def sample(name: str) -> Path:
    """Return the sample of a bundled format."""
    (found,) = (
        path
        for path in SAMPLES.iterdir()
        if path.name.partition(".")[0] == name and not path.name.endswith(".expected.json")
    )
    return found


def expected_file(name: str) -> Path:
    """Return the file that holds what the sample becomes."""
    return SAMPLES / f"{name}.expected.json"


def convert_sample(name: str, out: Path) -> Converted:
    """Convert the sample of a format by its bundled mapping."""
    return convert(Job([sample(name)], Engine(load_bundled(name)), out, DEFAULTS, None, SPEAKERS))


def result(name: str) -> dict[str, Any]:
    """Return the files that the sample becomes, what is odd about it, and what is left over."""
    with tempfile.TemporaryDirectory() as out:
        done = convert_sample(name, Path(out))
        (folder,) = map(Path, done.written)
        files = {
            path.stem: orjson.loads(path.read_bytes())
            for path in sorted(folder.iterdir(), reverse=True)
        }
    return {
        "date": folder.parent.name,
        **files,
        "warnings": [f"{each.place}: {each.message}" for each in done.warnings],
        "leftovers": {each.path: ", ".join(each.types) for each in done.leftovers},
        "refused": [dataclasses.asdict(each) for each in done.refused],
    }


def expected_bytes(name: str) -> bytes:
    """Return what the expected file holds."""
    return (json.dumps(result(name), indent=1, ensure_ascii=False) + "\n").encode()


README = Path(ingest.__file__).parent / "formats" / "README.md"
_HEAD = """| format | file | turns | ends | speakers | agent | context | leftovers |
|---|---|---|---|---|---|---|---|
"""
_OWN = {"source_id", "agent_id", "agent_name", "agent_team", "agent_site"}


def table() -> str:
    """Return what each format gives of its sample, as the README shows it."""
    return _HEAD + "".join(map(_row, NAMES))


def _row(name: str) -> str:
    became = result(name)
    turns = became["transcription"]["turns"]
    with tempfile.TemporaryDirectory() as out:
        job = Job([sample(name)], Engine(load_bundled(name)), Path(out), DEFAULTS)
        speakers = "named" if convert(job).written else "`--speakers`"
    told = explanation(sample(name), Engine(load_bundled(name)), None, SPEAKERS)
    found = [each.field for each in told.fields if each.found != "-" and "[]" not in each.field]
    agent = [field for field in found if field.startswith("agent_")]
    facts = [field for field in found if field not in _OWN and "." not in field]
    cells = (
        f"`{name}`",
        load_bundled(name).reads,
        str(len(turns)),
        str(sum("end_offset_sec" in turn for turn in turns)),
        speakers,
        ", ".join(agent) or "-",
        ", ".join(facts) or "-",
        str(len(became["leftovers"])),
    )
    return f"| {' | '.join(cells)} |\n"


def readme() -> str:
    """Return the README of the formats with the table as it is now."""
    text = README.read_text(encoding="utf-8")
    begin, end = text.index("| format | file |"), text.index("\n\nNumbers are those")
    return text[:begin] + table().rstrip("\n") + text[end:]


if __name__ == "__main__":
    for each in NAMES:
        expected_file(each).write_bytes(expected_bytes(each))
    README.write_text(readme(), encoding="utf-8")
