"""Reads the coaching rubric, its policies and the words that they may name."""

from __future__ import annotations

import csv
from pathlib import Path

from ingest.domain.conversation import Direction
from ingest.domain.rubric import POLICIES_FILE, RUBRIC_FILE, RowFault, Words, rubric_faults
from ingest.errors import InputError
from ingest.flows.declared import read_declarations
from ingest.flows.matchers import read_definitions


def read_rubric_faults(seeds_dir: Path, project_file: Path) -> tuple[RowFault, ...]:
    """Return what is wrong with rubric and policies, by file and row.

    Raises InputError where a file is missing or no text.
    """
    try:
        rubric, policies = (
            (seeds_dir / name).read_text(encoding="utf-8") for name in (RUBRIC_FILE, POLICIES_FILE)
        )
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"no coaching rubric in {seeds_dir}",
            f"write {RUBRIC_FILE} and {POLICIES_FILE} there in UTF-8, or set INGEST_SEEDS_DIR",
        ) from error
    matchers = read_definitions(seeds_dir)
    phrases = {matcher.display_name for matcher in matchers} | {
        f"{matcher.display_name}.{group.name}" for matcher in matchers for group in matcher.groups
    }
    declarations = read_declarations(seeds_dir, project_file)
    fields = {
        "business_line": declarations.words["business_line"],
        "direction": frozenset(direction.value for direction in Direction),
        "medium": frozenset(declarations.insights_media),
        "queue": declarations.words["queue"],
    }
    outcomes, questions = declarations.words["call_outcome"], _question_ids(seeds_dir)
    return rubric_faults(rubric, policies, Words(frozenset(phrases), fields, outcomes, questions))


def _question_ids(seeds_dir: Path) -> frozenset[str]:
    """Return the scorecards' questions, as `question` and `scorecard.question`.

    There are none where no scorecard is declared.
    """
    questions = seeds_dir / "scorecard_questions.csv"
    if not questions.exists():
        return frozenset()
    with questions.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    names = {row["question_id"] for row in rows}
    return frozenset(names | {f"{row['scorecard_id']}.{row['question_id']}" for row in rows})


def ensure_sound_rubric(seeds_dir: Path, project_file: Path) -> None:
    """Raise InputError with the first bad row of rubric or policies and its cure.

    Nothing is asked of a folder without a rubric.
    """
    if not (seeds_dir / RUBRIC_FILE).exists():
        return
    faults = read_rubric_faults(seeds_dir, project_file)
    if faults:
        first = faults[0]
        raise InputError(
            f"{first.file} row {first.row}: {first.message} ({first.rule})",
            f"{first.cure}; `ingest rubric check` names all {len(faults)}",
        )
