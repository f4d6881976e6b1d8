"""A story in three batches in which everything happens that may happen to a conversation."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace

from ingest.domain.conversation import json_sha256
from ingest.domain.matchers import MatcherDefinition, MatchType, PhraseRule, Role, RuleGroup
from tests.warehouse.raw_rows import (
    RawRows,
    Row,
    Talk,
    analysis_of,
    answered,
    ci_row,
    event_row,
    feedback_label,
    file_row,
    matcher_rows,
    scored,
    stamp,
    talk,
)

TOPIC_MODEL = "projects/123456789012/locations/us-central1/issueModels/7"
START = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
BATCHES = tuple(START + dt.timedelta(hours=22 * number) for number in range(3))
"""On three days, and all within the 48 hours that a build reads again."""

_AGENT = (
    "Hi, this call is recorded. Can you confirm your date of birth? It's about an overdue account."
)
TURNS = [
    ("AGENT", _AGENT),
    ("CUSTOMER", "Yes. I lost my job and I want to speak to a manager."),
    ("AGENT", "I\u2019m really  sorry; take your time."),
    ("CUSTOMER", "Thanks."),
]

PLAIN = talk(
    "c-plain",
    TURNS,
    batch_date="2025-12-29",
    queue="q" * 300,
    labels={"priority": "high", "shift": "", "campaign_id": "the pipeline's name"},
    custom={"meter": 7},
)
"""A label that is cut, one that is empty, and one of a name that isn't the user's to give."""
LATE = talk("c-late", TURNS)
EDITED = talk("c-edit", TURNS)
EDITED_AFTER = replace(EDITED, transcription=talk("c-edit", TURNS[:2]).transcription)
AGAIN = talk("c-again", TURNS)
FORGOTTEN = talk("c-forget", TURNS)
FAILED = talk("c-fail", TURNS)
CHANGED = talk("c-change", TURNS)
BACK = talk("c-back", TURNS)
BACK_OTHER = replace(BACK, metadata=BACK.metadata | {"call_outcome": "PROMISE_TO_PAY"})
RETURNED = talk("c-return", TURNS)
RETURNED_BETWEEN = replace(RETURNED, transcription=talk("c-return", TURNS[:2]).transcription)


def _matchers(revision: str, moment: dt.datetime, extra: str) -> list[Row]:
    phrases = (PhraseRule("this call is recorded"), PhraseRule("confirm your date of birth"))
    disclosures = MatcherDefinition(
        "required_disclosures",
        MatchType.ANY_OF,
        (RuleGroup("call_recording", MatchType.ANY_OF, phrases),),
        Role.ANY_AGENT,
    )
    empathy = MatcherDefinition(
        "empathy_indicators",
        MatchType.ANY_OF,
        (
            RuleGroup("g", MatchType.ANY_OF, (PhraseRule("i'm really sorry"), PhraseRule(extra))),
            RuleGroup("both", MatchType.ALL_OF, (PhraseRule("take your"), PhraseRule("absent"))),
        ),
        Role.HUMAN_AGENT,
    )
    return matcher_rows(revision, moment, [disclosures, empathy])


FIRST_MATCHERS = _matchers("r1", START - dt.timedelta(hours=1), "no such words")
SECOND_MATCHERS = _matchers("r2", BATCHES[2], "take your time")

LABELS = (
    {"matcher": "required_disclosures", "turn_index": 0, "is_noisy": False},
    {"matcher": "empathy_indicators", "turn_index": 0, "is_noisy": False},
    {"matcher": "empathy_indicators", "turn_index": 3, "is_noisy": True},
)
"""A truth that is right on disclosures, silent on turn 2, and wrong on the empathy of turn 0."""


@dataclass
class Batch:
    """Rows landed by one run at one moment."""

    number: int
    rows: RawRows

    @property
    def run_id(self) -> str:
        return f"run-{self.number}"

    @property
    def moment(self) -> dt.datetime:
        return BATCHES[self.number - 1] + dt.timedelta(minutes=1)

    def files(self, spoken: Talk, *kinds: str) -> None:
        for place, kind in enumerate(kinds):
            generation = self.number * 1000 + place
            row = file_row(spoken, kind, generation, self.run_id, self.moment)
            self.rows.conversation_files.append(row)

    def event(self, spoken: Talk, step: str, outcome: str = "succeeded", **more: object) -> None:
        seconds = len(self.rows.pipeline_events)
        ended = self.moment - dt.timedelta(seconds=30) + dt.timedelta(milliseconds=seconds)
        row = event_row(
            spoken,
            step,
            outcome,
            self.run_id,
            ended,
            landed_at=self.moment,
            **more,  # type: ignore[arg-type]
        )
        self.rows.pipeline_events.append(row)

    def event_again(self, landed: Row) -> None:
        """Land an event of an earlier batch once more."""
        self.rows.pipeline_events.append(landed | {"_landed_at": stamp(self.moment)})

    def again(self, rows: RawRows, conversation_id: str) -> None:
        """Land all that an earlier batch has of a conversation once more, by this run."""
        landing = {"_landed_at": stamp(self.moment), "_run_id": self.run_id}
        for table in ("conversation_files", "ci_conversations"):
            for row in getattr(rows, table):
                if row["conversation_id"] == conversation_id:
                    getattr(self.rows, table).append(row | landing)
        for row in rows.pipeline_events:
            if row["conversation_id"] == conversation_id:
                self.event_again(row)

    def analysed(
        self,
        spoken: Talk,
        analysis_id: str,
        matchers: list[Row],
        profile: str = "profile-1",
        sentiments: tuple[float, float] = (-0.5, 0.0),
        revision: str | None = None,
    ) -> None:
        made = self.moment - dt.timedelta(seconds=20)
        analysis = analysis_of(spoken, analysis_id, made, matchers, sentiments)
        if revision:
            analysis = scored(analysis, revision, made)
        state = ci_row(
            spoken,
            made + dt.timedelta(seconds=1),
            self.run_id,
            analysis=analysis,
            profile=profile,
            landed_at=self.moment,
            summary="Wants time." if spoken is PLAIN else None,
        )
        if spoken is FORGOTTEN:
            state["payload"]["seenNowhereElse"] = {"once": True}
        self.rows.ci_conversations.append(state)
        self.event(spoken, "submit", "adopted")
        self.event(spoken, "analyse", resource_name=analysis["name"])

    def truth(self, spoken: Talk, *labels: Row) -> None:
        payload = {"scenario": "story", "phrase_matches": list(labels)}
        self.rows.conversation_truths.append(
            {
                "conversation_id": spoken.conversation_id,
                "batch_date": spoken.batch_date,
                "scenario": "story",
                "content_sha256": json_sha256(payload),
                "transcript_sha256": spoken.transcript_sha256,
                "payload": payload,
                "_run_id": self.run_id,
                "_landed_at": stamp(self.moment),
            }
        )

    def complete(self, spoken: Talk, analysis_id: str) -> None:
        self.files(spoken, "metadata", "transcription")
        self.event(spoken, "upload")
        revision = "one" if spoken in (EDITED, AGAIN, FORGOTTEN) else None
        self.analysed(spoken, analysis_id, FIRST_MATCHERS, revision=revision)

    def label(self, spoken: Talk, label_id: str, *, is_deleted: bool = False, **what: Row) -> None:
        self.rows.feedback_labels.append(
            feedback_label(
                spoken.conversation_id,
                label_id,
                self.moment,
                self.run_id,
                is_deleted=is_deleted,
                **what,
            )
        )


def batches() -> tuple[RawRows, RawRows, RawRows]:
    """Return the rows of the three batches; forgetting erases c-forget's rows (see `erased`)."""
    first = Batch(1, RawRows(phrase_matchers=list(FIRST_MATCHERS)))
    for place, spoken in enumerate((PLAIN, EDITED, AGAIN, FORGOTTEN, BACK, RETURNED, CHANGED)):
        first.complete(spoken, f"10{place}")
    first.truth(PLAIN, *LABELS)
    first.truth(EDITED, *LABELS)
    for spoken in (AGAIN, FORGOTTEN):
        first.label(spoken, "1", **answered("one", "identity-check", "no"))
        first.label(spoken, "2", **answered("one", "no-threats", "yes"))
        first.label(spoken, "3", labeledResource=TOPIC_MODEL, label="Hardship")
    first.files(LATE, "transcription")
    first.event(LATE, "upload", "waiting", reason="waiting_for_metadata")
    first.files(FAILED, "metadata", "transcription")
    first.event(FAILED, "upload")
    first.event(FAILED, "submit", "failed", error_code="UNAVAILABLE")

    second = Batch(2, RawRows())
    second.files(LATE, "metadata")
    second.event(LATE, "upload")
    second.analysed(LATE, "201", FIRST_MATCHERS)
    second.files(EDITED_AFTER, "transcription")
    second.event(EDITED_AFTER, "upload")
    second.event(FORGOTTEN, "forget")
    second.analysed(FAILED, "202", FIRST_MATCHERS)
    second.files(BACK_OTHER, "metadata")
    second.event(BACK_OTHER, "upload")
    second.files(RETURNED_BETWEEN, "transcription")
    second.event(RETURNED_BETWEEN, "upload")
    second.analysed(RETURNED_BETWEEN, "203", FIRST_MATCHERS)

    third = Batch(3, RawRows(phrase_matchers=list(SECOND_MATCHERS)))
    third.analysed(EDITED_AFTER, "301", SECOND_MATCHERS, profile="profile-2")
    third.analysed(AGAIN, "302", SECOND_MATCHERS, profile="profile-2", revision="two")
    third.label(AGAIN, "2", **answered("one", "no-threats", "no"))
    third.label(AGAIN, "3", is_deleted=True, labeledResource=TOPIC_MODEL)
    disclosures = SECOND_MATCHERS[:1]
    third.analysed(CHANGED, "303", disclosures, profile="profile-2", sentiments=(0.25, 0.5))
    third.files(BACK, "metadata")
    third.event(BACK, "upload")
    third.files(RETURNED, "transcription")
    third.event(RETURNED, "upload")
    third.event_again(first.rows.pipeline_events[-1])
    for row in first.rows.pipeline_events:
        if row["conversation_id"] == FORGOTTEN.conversation_id:
            third.event_again(row)
    return first.rows, second.rows, third.rows


ERASURE = tuple(
    f"delete from coach_raw.{table} where conversation_id = 'c-forget' "
    f"and _landed_at >= timestamp '2020-01-01 00:00:00+00' "
    f"and _landed_at < timestamp '{BATCHES[2]}'{rest}"
    for table, rest in (
        ("conversation_files", ""),
        ("ci_conversations", ""),
        ("feedback_labels", ""),
        ("pipeline_events", " and step != 'forget'"),
    )
)
"""What the sidecar did to raw rows when c-forget was forgotten; what lands later is there."""
