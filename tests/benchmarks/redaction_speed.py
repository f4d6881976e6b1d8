"""Megabytes of talk that the redactor takes people out of in a second of processor time.

`python -m tests.benchmarks.redaction_speed FOLDER`: a data set, such as seeds/conversations. Pushes
redact in a process per core, so two free cores do twice as much.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import orjson

from ingest.domain.redaction.redactor import Redactor
from ingest.domain.redaction.turn import built_in


def measured(folder: Path) -> tuple[int, float]:
    """Return the characters of all talks, and the seconds of processor time that they took."""
    paths = sorted(folder.glob("*/*/transcription.json"))
    talks = [[turn["text"] for turn in orjson.loads(p.read_bytes())["turns"]] for p in paths]
    vocabulary = built_in()
    began = time.process_time()
    for texts in talks:
        redactor = Redactor(texts, (), vocabulary)
        for place in range(len(texts)):
            redactor.redacted_turn(place)
    return sum(len(text) for texts in talks for text in texts), time.process_time() - began


if __name__ == "__main__":
    characters, seconds = measured(Path(sys.argv[1]))
    sys.stdout.write(f"{characters:,} characters, {characters / seconds / 1e6:.2f} MB/s a core\n")
