"""How well a data set's truth is found: personal details by redaction, verdicts by the marts."""

from __future__ import annotations

import csv
from collections.abc import AsyncIterator
from pathlib import Path

import typer

from ingest.cli._console import aligned, wrapped
from ingest.cli._context import run
from ingest.cli._output import opened, print_json
from ingest.datagen.coaching_measure import (
    CoachingMeasure,
    CoachingTally,
    CoachingTruth,
    given_of,
)
from ingest.datagen.dataset_check import TRUTH_FILE, ConversationFiles
from ingest.datagen.redaction_measure import RedactionMeasure, RedactionTally
from ingest.datagen.truth import ExpectedTruth, load_required_disclosures
from ingest.domain.conversation import FileKind, Metadata, Transcription
from ingest.domain.faults import Fault
from ingest.domain.redaction.turn import Vocabulary, built_in
from ingest.domain.rubric import POLICIES_FILE, RUBRIC_FILE
from ingest.domain.validation import parse_file
from ingest.errors import ExitCode, InputError
from ingest.flows.coach import read_verdicts
from ingest.flows.declared import read_own_words
from ingest.flows.source import LocalConversation, LocalSource


async def walk_set(folder: Path) -> AsyncIterator[ConversationFiles | Fault]:
    """Yield every conversation of the data set in the order of date and id."""
    async for found in LocalSource(folder).walk():
        if isinstance(found, LocalConversation):
            contents, faults = await found.read()
            yield ConversationFiles(
                found.batch_date,
                found.conversation_id,
                contents,
                _read_truth(found.folder / TRUTH_FILE),
                tuple(faults),
            )
        elif isinstance(found, Fault):
            yield found


def _read_truth(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def run_redaction_report(folder: Path, seeds: Path, *, as_json: bool) -> ExitCode:
    """Redact a data set and print how much of what was planted is found."""
    found = run(_measure_redaction(folder, built_in().with_own(read_own_words(seeds))))
    if as_json:
        print_json(found)
        return ExitCode.OK
    rows = [
        (
            each.type,
            f"{each.planted:,}",
            f"{each.whole / each.planted:.3f}",
            f"{each.touched / each.planted:.3f}",
        )
        for each in found.types
    ]
    typer.echo(aligned(("TYPE", "PLANTED", "WHOLE", "TOUCHED"), rows, " rrr"))
    typer.echo(
        f"\n{found.conversations:,} conversations, {found.taken:,} stretches taken out, "
        f"{found.false:,} of them touch nothing planted: precision {found.precision:.3f}"
    )
    return ExitCode.OK


async def _measure_redaction(folder: Path, vocabulary: Vocabulary) -> RedactionMeasure:
    tally = RedactionTally(vocabulary)
    async for found in walk_set(folder):
        talk = parsed_file(found, FileKind.TRANSCRIPTION)
        truth = found.truth if isinstance(found, ConversationFiles) else None
        if truth is None or not isinstance(talk, Transcription):
            continue
        spans = ExpectedTruth.model_validate_json(truth).pii_spans
        if spans is None:
            continue
        metadata = parsed_file(found, FileKind.METADATA)
        name = metadata.agent_name if isinstance(metadata, Metadata) else None
        tally.add([turn.text for turn in talk.turns], name, spans)
    if not tally.conversations:
        raise InputError(
            f"{folder} has no conversation with `pii_spans` in expected.json",
            "make some with `ingest data generate`",
        )
    return tally.measure()


def run_coaching_report(folder: Path, seeds: Path, *, as_json: bool) -> ExitCode:
    """Compare the marts' verdicts with the truth, and print how well they fit."""
    found = run(_measure_coaching(folder, seeds))
    if as_json:
        print_json(found)
        return ExitCode.OK
    typer.echo(text_of_coaching(found))
    return ExitCode.OK


def text_of_coaching(found: CoachingMeasure) -> str:
    """Return the measure as tables, what was planted apart."""
    shares = ("precision", "recall", "ear_precision", "ear_recall")
    planted = ("planted_faults", "found_faults", "planted_strengths", "found_strengths")
    noisy = ("planted_noisy", "found_noisy")
    rows, plants = [], []
    for each in found.checks:
        values = [getattr(each, name) for name in shares]
        told = ["-" if value is None else f"{value:.3f}" for value in values]
        rows.append((each.check_id, f"{each.judged:,}", f"{each.missed:,}", *told))
        counts = [getattr(each, name) for name in (*planted, *noisy)]
        if any(counts):
            plants.append((each.check_id, *(f"{count:,}" for count in counts)))
    header = ("CHECK", "JUDGED", "MISSED", "PRECISION", "RECALL", "BY EAR", "RECALL")
    lines = [aligned(header, rows, " rrrrrr")]
    if plants:
        header = ("PLANTED", "FAULTS", "FOUND", "SHOWN", "FOUND", "NOISY", "FOUND")
        lines += ["", aligned(header, plants, " rrrrrr")]
    told_last = (
        f"{found.conversations:,} conversations; {found.quotes_astray} quotes not at their span, "
        f"{found.versions_astray} policy versions of another day, {found.not_due} checks judged "
        "though not due or left out though due"
    )
    return "\n".join([*lines, "", *wrapped(told_last, 80)])


async def _measure_coaching(folder: Path, seeds: Path) -> CoachingMeasure:
    settings, warehouse = opened()
    tally, given = CoachingTally(), read_verdicts(warehouse)
    known = CoachingTruth(
        csv.DictReader((seeds / RUBRIC_FILE).read_text(encoding="utf-8").splitlines()),
        csv.DictReader((seeds / POLICIES_FILE).read_text(encoding="utf-8").splitlines()),
        load_required_disclosures(seeds),
    )
    async for found in walk_set(folder):
        talk = parsed_file(found, FileKind.TRANSCRIPTION)
        metadata = parsed_file(found, FileKind.METADATA)
        truth = found.truth if isinstance(found, ConversationFiles) else None
        if not (isinstance(talk, Transcription) and isinstance(metadata, Metadata) and truth):
            continue
        if (rows := given.get(talk.conversation_id)) is None:
            continue
        texts = [turn.text for turn in talk.turns]
        verdicts = known.verdicts(metadata, talk, ExpectedTruth.model_validate_json(truth))
        tally.add(verdicts, {row["check_id"]: given_of(row, texts) for row in rows})
    if not tally.conversations:
        raise InputError(
            f"no conversation of {folder} with an expected.json is in coaching_checks of "
            f"{settings.marts_dataset}",
            "push it, then run `dbt build`",
        )
    return tally.measure()


def parsed_file(found: object, kind: FileKind) -> Metadata | Transcription | None:
    """Return the file of the conversation; None where it is missing or faulty."""
    if not isinstance(found, ConversationFiles) or kind not in found.contents:
        return None
    return parse_file(kind, found.contents[kind], "")[0]
