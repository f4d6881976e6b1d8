"""Phrases planted in generated conversations come out of the whole pipeline, with their spans."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ingest.cli.local import run_first_steps
from ingest.local import stack as local_stack
from ingest.local.layout import Layout, Service
from tests.warehouse.dbt_runs import ROOT, DbtProject
from tests.warehouse.raw_loading import client_for

pytestmark = pytest.mark.stack

CONVERSATIONS = 60
DATE = "2026-01-05"
RUN_INGEST = "from ingest.cli import main; main()"
MODELS = ("--select", "+phrase_matcher_evaluation", "--exclude", "test_type:data", "test_type:unit")
Label = tuple[str, str, int, str, int, int]


@dataclass(frozen=True)
class Judged:
    """What the truth files say, and what the warehouse says."""

    truths: dict[str, list[dict[str, Any]]]
    evaluation: dict[str, dict[str, Any]]
    found: set[Label]

    def turns(self, matcher: str, *, is_noisy: bool) -> int:
        """Count turns labelled for the matcher; noisy ones have no label with the exact words."""
        labels = [
            ((id_, label["turn_index"]), label["is_noisy"])
            for id_, matches in self.truths.items()
            for label in matches
            if label["matcher"] == matcher
        ]
        exact = {turn for turn, noisy in labels if not noisy}
        return len({turn for turn, _ in labels} - exact) if is_noisy else len(exact)


@pytest.fixture(scope="module")
def judged(
    tmp_path_factory: pytest.TempPathFactory, stack_port_bases: Iterator[int]
) -> Iterator[Judged]:
    """Generate, push, land the truth and build, on a stack of its own."""
    folder = tmp_path_factory.mktemp("matcher_quality")
    layout = Layout(folder / "stack", next(stack_port_bases))
    state = local_stack.up(layout, list(Service), lambda _: None, ends_with_caller=True)
    try:
        settings = run_first_steps(layout, state, lambda _: None)
        endpoints = {
            f"INGEST_{name.upper()}": str(getattr(settings, name))
            for name in ("gcs_endpoint", "bigquery_endpoint", "insights_endpoint")
        }
        data = folder / "data"
        count = ("--count", str(CONVERSATIONS), "--seed", "11", "--date", DATE)
        _ingest(endpoints, "data", "generate", "--out", str(data), *count)
        _ingest(endpoints, "push", str(data / DATE))
        _ingest(endpoints, "data", "land-truth", str(data))
        endpoint = str(settings.bigquery_endpoint)
        DbtProject(folder, endpoint, is_lean=True).run("build", *MODELS)
        yield _judged(endpoint, data)
    finally:
        local_stack.down(layout, lambda _: None)


def test_every_matcher_finds_exactly_the_planted_words(judged: Judged) -> None:
    names = ("f1_share", "true_positive_count", "false_positive_count", "false_negative_count")
    counts = {name: [row[n] for n in names] for name, row in judged.evaluation.items()}

    assert len(judged.truths) == CONVERSATIONS
    assert len(counts) == 5
    assert counts == {
        name: [1.0, judged.turns(name, is_noisy=False), 0, 0] for name in judged.evaluation
    }


def test_paraphrases_are_reported_as_precision_and_recall(judged: Judged) -> None:
    names = ("noisy_turn_count", "with_noise_precision_share", "with_noise_recall_share")
    reported = {name: tuple(row[n] for n in names) for name, row in judged.evaluation.items()}
    expected = {}
    for name, row in judged.evaluation.items():
        exact, noisy = (judged.turns(name, is_noisy=kind) for kind in (False, True))
        right = exact + row["noisy_found_count"]
        expected[name] = (noisy, 1.0, pytest.approx(right / (exact + noisy)))

    assert sum(noisy for noisy, _, _ in reported.values()) > 0
    assert reported == expected


def test_every_planted_phrase_has_its_span(judged: Judged) -> None:
    planted = Counter(
        (
            id_,
            label["matcher"],
            label["turn_index"],
            label["phrase"],
            label["start_char"],
            label["end_char"],
        )
        for id_, matches in judged.truths.items()
        for label in matches
        if not label["is_noisy"]
    )

    assert judged.found == set(planted)


def _ingest(endpoints: dict[str, str], *arguments: str) -> None:
    finished = subprocess.run(
        [sys.executable, "-c", RUN_INGEST, *arguments, "--json"],
        env=os.environ | endpoints,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr


def _judged(endpoint: str, data: Path) -> Judged:
    client = client_for(endpoint)
    rows = client.query_and_wait("select * from coach.phrase_matcher_evaluation")
    evaluation = {row["phrase_matcher"]: dict(row) for row in rows}
    matches = client.query_and_wait(
        "select conversation_id, phrase_matcher, turn_index, phrase, start_char, end_char "
        "from coach.ci_phrase_matches"
    )
    truths = {
        path.parent.name: json.loads(path.read_text("utf-8"))["phrase_matches"]
        for path in data.glob(f"{DATE}/*/expected.json")
    }
    return Judged(truths, evaluation, {tuple(row.values()) for row in matches})
