"""Expected labels of the dev conversations as dbt seeds.

`python -m tests.warehouse.label_seeds` writes seeds/labelled_conversations.csv and
seeds/expected_phrase_matches.csv from the expected.json files; a test keeps them fresh.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ingest.domain.fingerprint import json_sha256

SEEDS = Path(__file__).parents[2] / "seeds"
LABELLED = ("conversation_id", "transcript_sha256", "scenario", "sentiment_arc")
EXPECTED = (
    "conversation_id",
    "phrase_matcher",
    "phrase_group",
    "turn_index",
    "phrase",
    "start_char",
    "end_char",
    "is_noisy",
)


def labels() -> Iterator[tuple[dict[str, Any], str]]:
    """Yield expected.json and the transcript's hash of every dev conversation, by path."""
    for path in sorted(SEEDS.glob("conversations/*/*/expected.json")):
        transcription = json.loads((path.parent / "transcription.json").read_text("utf-8"))
        yield json.loads(path.read_text("utf-8")), json_sha256(transcription)


def seed_texts() -> dict[str, str]:
    """Return the text of both seeds, by file name."""
    labelled: list[tuple[Any, ...]] = []
    expected: list[tuple[Any, ...]] = []
    for label, transcript_sha256 in labels():
        identity = label["conversation_id"]
        labelled.append((identity, transcript_sha256, label["scenario"], label["sentiment_arc"]))
        expected.extend(
            (
                identity,
                match["matcher"],
                match["group"],
                match["turn_index"],
                match["phrase"],
                match["start_char"],
                match["end_char"],
                str(match["is_noisy"]).lower(),
            )
            for match in label["phrase_matches"]
        )
    return {
        "labelled_conversations.csv": _csv(LABELLED, labelled),
        "expected_phrase_matches.csv": _csv(EXPECTED, sorted(expected, key=str)),
    }


def _csv(header: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


if __name__ == "__main__":
    for name, text in seed_texts().items():
        (SEEDS / name).write_text(text, encoding="utf-8")
