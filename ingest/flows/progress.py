"""What a long run tells while it goes on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from ingest.domain.quota import QuotaUse


class Progress(Protocol):
    """Shown to a person; a flow never waits for it."""

    def stage(self, name: str, total: int | None) -> None:
        """A stage begins or learns its total."""

    def advance(self, name: str) -> None:
        """One conversation has passed the stage."""

    def quota(self, use: Mapping[str, QuotaUse]) -> None:
        """How much of each quota the last minute used."""

    def note(self, message: str) -> None:
        """Something worth a line; never text of a conversation."""


class Silent:
    """Tells nothing."""

    def stage(self, name: str, total: int | None) -> None:
        """Tell nothing."""

    def advance(self, name: str) -> None:
        """Tell nothing."""

    def quota(self, use: Mapping[str, QuotaUse]) -> None:
        """Tell nothing."""

    def note(self, message: str) -> None:
        """Tell nothing."""
