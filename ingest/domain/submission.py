"""What has to happen in CI so that it holds a conversation version."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from ingest.domain.insights_format import CiSubmission


class SubmitAction(StrEnum):
    """How CI is made to hold the version."""

    CREATE = "create"
    ADOPT = "adopt"
    UPDATE = "update"
    RECREATE = "recreate"


def submit_action(
    submission: CiSubmission, held_uri: str, held_medium: str, held_labels: Mapping[str, str]
) -> SubmitAction:
    """Return what to do with a conversation that CI already holds.

    CI forbids changing a transcript's URI, and the URI's last part is the hash of the transcript:
    so another last part is another talk, and needs a new conversation under the same id; another
    folder alone (the same talk delivered again on a later date) doesn't. The medium can't be
    changed either. Everything else comes from the metadata, whose hash is among the labels.
    """
    if held_medium != submission.medium:
        return SubmitAction.RECREATE
    if held_uri.rpartition("/")[2] != submission.transcript_object.rpartition("/")[2]:
        return SubmitAction.RECREATE
    if dict(held_labels) != submission.labels:
        return SubmitAction.UPDATE
    return SubmitAction.ADOPT
