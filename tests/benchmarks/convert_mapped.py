"""How fast foreign transcripts of 50 turns are converted by their mappings and validated.

    python -m tests.benchmarks.convert_mapped [--count 1000]

Target: 800 conversations a second of one core, from the bytes of a file to both files validated.
CPU time, so that a busy machine stretches it less; exit code 1 when the target is missed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from ingest.flows.convert import Job, convert
from ingest.formats.conversion import build
from ingest.formats.engine import Engine, FileName
from ingest.formats.mapping_files import load_bundled
from ingest.formats.reading import How, records_of
from tests.format_samples import DEFAULTS, sample

TURNS = 50
TURN_MS = 6_000
MIN_PER_SECOND = 800


def contact_lens(data: Any, number: int) -> Any:
    """Return the sample with 50 turns and an id of its own."""
    items = data["Transcript"]
    turns = [
        items[turn % 3]
        | {"BeginOffsetMillis": turn * TURN_MS, "EndOffsetMillis": turn * TURN_MS + 5_000}
        for turn in range(TURNS)
    ]
    customer = {"ContactId": f"9c2b7f1e-4d0a-4a63-8f7e-{number:012d}"}
    length = {"TotalConversationDurationMillis": TURNS * TURN_MS}
    return data | {
        "Transcript": turns,
        "CustomerMetadata": customer,
        "ConversationCharacteristics": length,
    }


def genesys(data: Any, number: int) -> Any:
    """Return the sample with 50 turns and an id of its own."""
    transcript, start = data["transcripts"][0], data["startTime"]
    phrases = [
        transcript["phrases"][turn % 3] | {"startTimeMs": start + turn * TURN_MS}
        for turn in range(TURNS)
    ]
    return data | {
        "conversationId": f"9c2b7f1e-4d0a-4a63-8f7e-{number:012d}",
        "transcripts": [transcript | {"phrases": phrases}],
    }


def per_second(count: int, work: Callable[[], object]) -> float:
    """Return how many of `count` a second of CPU time does."""
    begin = time.process_time()
    work()
    return count / (time.process_time() - begin)


def in_memory(engine: Engine, contents: list[bytes]) -> None:
    """Convert and validate without touching the disk."""
    how = How.of(engine.mapping)
    for content in contents:
        value = records_of(how, {"call.json": content})[0].value
        draft = engine.draft(value, engine.scope(FileName("call.json"), value, None))
        built = build(draft, (DEFAULTS,), {"format": engine.mapping.name, "files": []}, 24)
        if any(fault.severity == "error" for fault in built.faults):
            raise SystemExit(f"{engine.mapping.name}: a conversation has an error")


def on_disk(engine: Engine, contents: list[bytes]) -> float:
    """Return how many conversations a second go from files to folders."""
    with tempfile.TemporaryDirectory() as scratch:
        source, out = Path(scratch) / "in", Path(scratch) / "out"
        source.mkdir()
        for number, content in enumerate(contents):
            (source / f"{number}.json").write_bytes(content)
        return per_second(len(contents), lambda: convert(Job([source], engine, out, DEFAULTS)))


def main() -> int:
    """Measure and print; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1_000)
    count = parser.parse_args().count
    is_met = True
    for name, stretched in (("contact-lens", contact_lens), ("genesys", genesys)):
        data = orjson.loads(sample(name).read_bytes())
        contents = [orjson.dumps(stretched(data, number)) for number in range(count)]
        engine = Engine(load_bundled(name))
        rate = per_second(count, partial(in_memory, engine, contents))
        files = on_disk(engine, contents)
        verdict = "met" if rate >= MIN_PER_SECOND else "MISSED"
        is_met = is_met and rate >= MIN_PER_SECOND
        sys.stdout.write(
            f"{name:<14}{rate:>7.0f} a second   target >= {MIN_PER_SECOND}   {verdict}; "
            f"{files:.0f} from disk to disk\n"
        )
    return 0 if is_met else 1


if __name__ == "__main__":
    sys.exit(main())
