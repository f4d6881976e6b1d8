"""Matchers tried out: over a folder of transcripts, and over what has been landed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from functools import partial

import orjson
from pydantic import ValidationError

from ingest.domain.conversation import FileKind, Transcription
from ingest.domain.fault import Fault
from ingest.domain.matcher_definition import MatcherDefinition
from ingest.domain.matcher_trials import Difference, TurnMatch, differences, find_matches
from ingest.domain.matchers import is_ours
from ingest.domain.phrase_matching import compile_matchers
from ingest.domain.raw_records import CONVERSATION_FILES, PIPELINE_EVENTS
from ingest.domain.validation import parse_file
from ingest.flows.attempts import Attempts
from ingest.flows.source import Source, place_of
from ingest.ports import InsightsApi, RawSink

_PAGE_SIZE = 500


async def try_on_source(
    source: Source, definitions: Sequence[MatcherDefinition]
) -> tuple[int, list[TurnMatch], list[Fault]]:
    """Return how many transcripts were read, all matches, and faults of unusable files."""
    matchers = compile_matchers(definitions)
    count, matches, faults = 0, list[TurnMatch](), list[Fault]()
    async for entry in source.walk():
        if isinstance(entry, Fault):
            faults.append(entry)
            continue
        contents, found = await entry.read()
        faults += found
        content = contents.get(FileKind.TRANSCRIPTION)
        if content is None:
            continue
        kind = FileKind.TRANSCRIPTION
        parsed, found = parse_file(kind, content, place_of(entry, kind))
        faults += found
        if isinstance(parsed, Transcription):
            count += 1
            matches += find_matches(parsed, matchers)
    return count, matches, faults


async def impact(
    insights: InsightsApi,
    sink: RawSink,
    attempts: Attempts,
    definitions: Sequence[MatcherDefinition],
) -> tuple[int, list[Difference]]:
    """Return how many landed talks were looked at, and what applying would change in them."""
    held = (await attempts.run(insights.list_matchers)).value
    before = compile_matchers([m.definition for m in held if is_ours(m.version_tag)])
    after = compile_matchers(definitions)
    count, found = 0, list[Difference]()
    async for transcription in _landed_transcriptions(sink, attempts):
        count += 1
        found += differences(transcription, before, after)
    return count, found


async def _landed_transcriptions(sink: RawSink, attempts: Attempts) -> AsyncIterator[Transcription]:
    """Yield the newest landed transcript of every conversation, by id, a page at a time."""
    sql = f"""
        select conversation_id, to_json_string(payload) as payload
        from {sink.table(CONVERSATION_FILES)}
        where _landed_at >= timestamp('2000-01-01') and kind = 'transcription'
            and conversation_id > @after
            and conversation_id not in (
                select conversation_id from {sink.table(PIPELINE_EVENTS)}
                where _landed_at >= timestamp('2000-01-01') and step = 'forget'
            )
        qualify row_number() over (partition by conversation_id order by generation desc) = 1
        order by conversation_id
        limit {_PAGE_SIZE}
    """
    after = ""
    while True:
        rows = (await attempts.run(partial(sink.query, sql, {"after": after}))).value
        for row in rows:
            try:
                yield Transcription.model_validate(orjson.loads(row["payload"]))
            except ValidationError:
                continue
        if len(rows) < _PAGE_SIZE:
            return
        after = rows[-1]["conversation_id"]
