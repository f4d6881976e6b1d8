"""All faults of one conversation folder, before anything is sent."""

from __future__ import annotations

from collections.abc import Sequence

from ingest.domain.conversation import Metadata, Transcription
from ingest.domain.fault import Fault
from ingest.domain.validation import check_conversation, has_errors, parse_file
from ingest.flows.source import Contents, SourceConversation, no_files, place_of


def faults_of(
    entry: SourceConversation, contents: Contents, unreadable: Sequence[Fault]
) -> list[Fault]:
    """Return all faults of one conversation folder: those of reading it, then of what was read.

    One missing file is not judged here.
    """
    faults = list(unreadable)
    metadata: Metadata | None = None
    transcription: Transcription | None = None
    for kind, content in contents.items():
        parsed, found = parse_file(kind, content, place_of(entry, kind))
        faults += found
        if isinstance(parsed, Metadata):
            metadata = parsed
        elif isinstance(parsed, Transcription):
            transcription = parsed
    faults += check_conversation(entry.conversation_id, entry.batch_date, metadata, transcription)
    if not contents and not has_errors(faults):
        faults.append(no_files(f"{entry.batch_date}/{entry.conversation_id}"))
    return faults
