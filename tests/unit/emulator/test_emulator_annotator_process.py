"""The annotators in a process of their own give the same answers, with it or without it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from multiprocessing import Pipe
from pathlib import Path
from threading import Thread

import psutil
import pytest
from google.protobuf.message import DecodeError

from ingest.emulator import protos
from ingest.emulator.analysis.annotate import effective_selector
from ingest.emulator.annotator_process import AnnotatorProcess, Job, LocalAnnotators, work_off

MATCHER = protos.PhraseMatcher(
    name="projects/1/locations/l/phraseMatchers/7", revision_id="3", type_=2, active=True
)
MATCHER.phrase_match_rule_groups.add(type_=2).phrase_match_rules.add(query="lost my job")


def job(number: int, repeat: int = 1) -> Job:
    transcript = protos.Transcript()
    for text in ("I lost my job, Sarah.", f"That is terrible, number {number}.") * repeat:
        segment = transcript.transcript_segments.add(text=text, channel_tag=1)
        segment.segment_participant.role = 3
    return Job(
        f"conversation-{number}",
        transcript.SerializeToString(),
        effective_selector(protos.Analysis()).SerializeToString(),
        (MATCHER.SerializeToString(),),
    )


BROKEN = job(1)._replace(transcript=b"\xff")


async def all_of(annotators: AnnotatorProcess, jobs: list[Job]) -> list[object]:
    calls = (annotators.findings(each) for each in jobs)
    return await asyncio.gather(*calls, return_exceptions=True)


def run(script: str) -> str:
    """Run a script that forks in a process without threads, as the emulator does."""
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=Path(__file__).parent,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


SCRIPT = """
import asyncio, os, signal
from ingest.emulator.annotator_process import AnnotatorProcess, LocalAnnotators
from test_emulator_annotator_process import BROKEN, all_of, job

async def main():
    jobs = [job(1), job(2, repeat=3000), *map(job, range(3, 60)), job(60, repeat=2000)]
    expected = [LocalAnnotators().annotate(each) for each in jobs]
    assert await all_of(annotators, jobs) == expected
    one, bad, two = await all_of(annotators, [jobs[0], BROKEN, jobs[2]])
    assert (one, two) == (expected[0], expected[2]) and type(bad).__name__ == "DecodeError"
    left = asyncio.ensure_future(annotators.findings(jobs[0]))
    await asyncio.sleep(0)
    left.cancel()
    assert await annotators.findings(jobs[2]) == expected[2]
    os.kill(annotators.pid, signal.SIGKILL)
    assert await all_of(annotators, jobs) == expected
    annotators.close()

annotators = AnnotatorProcess()
asyncio.run(main())
print("same")
"""


def test_the_process_answers_as_the_annotators_here_do_also_after_its_end() -> None:
    assert run(SCRIPT) == "same\n"


def test_the_process_ends_with_the_emulator_that_was_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ingest.emulator", "--data-dir", str(tmp_path)]
    emulator = subprocess.Popen(
        [*command, "--gcs-endpoint", "http://127.0.0.1:1"], stdout=subprocess.PIPE
    )
    assert emulator.stdout is not None
    emulator.stdout.readline()
    children = psutil.Process(emulator.pid).children()
    emulator.send_signal(signal.SIGKILL)
    emulator.wait(30)
    assert len(children) == 1
    assert psutil.wait_procs(children, timeout=30)[1] == []


def test_work_goes_on_after_a_job_that_breaks() -> None:
    ours, theirs = Pipe()
    worker = Thread(target=work_off, args=(theirs,))
    worker.start()
    answers = []
    for each in (job(1), BROKEN, job(2)):
        ours.send(each)
        answers.append(ours.recv())
    ours.close()
    worker.join(30)
    assert answers == [LocalAnnotators().annotate(job(1)), None, LocalAnnotators().annotate(job(2))]


def test_what_breaks_is_said_here() -> None:
    with pytest.raises(DecodeError):
        asyncio.run(LocalAnnotators().findings(BROKEN))
