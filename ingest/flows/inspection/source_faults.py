"""Faults of one conversation folder on this machine, by the rules of a push.

Apart from the trace, since the models that check files take long to import.
"""

from __future__ import annotations

from pathlib import Path

from ingest.domain.conversation import FileKind, Metadata, Transcription
from ingest.domain.conversation_rules import check_conversation
from ingest.domain.fault import Fault, Severity
from ingest.domain.object_paths import parse_batch_date
from ingest.domain.validation import parse_file
from ingest.flows.inspection.trace import SourceFault


def source_faults(folder: Path) -> tuple[SourceFault, ...]:
    """Return what a push refuses in `<date>/<conversation_id>`; nothing of another folder."""
    batch_date = parse_batch_date(folder.parent.name)
    if batch_date is None:
        return ()
    found: list[Fault] = []
    metadata: Metadata | None = None
    transcription: Transcription | None = None
    for kind in FileKind:
        path = folder / f"{kind.value}.json"
        if not path.is_file():
            continue
        place = f"{batch_date}/{folder.name}/{path.name}"
        parsed, faults = parse_file(kind, path.read_bytes(), place)
        found += faults
        if isinstance(parsed, Metadata):
            metadata = parsed
        elif isinstance(parsed, Transcription):
            transcription = parsed
    found += check_conversation(folder.name, batch_date, metadata, transcription)
    return tuple(
        SourceFault(
            f"{folder.as_posix()}/{fault.file.rsplit('/', 1)[-1]}",
            f"{fault.file}{'#' + fault.pointer if fault.pointer else ''}: {fault.message} "
            f"({fault.hint})",
        )
        for fault in found
        if fault.severity is Severity.ERROR
    )
