"""What every method needs: the store, the names, the time, the ids, Cloud Storage."""

from __future__ import annotations

from dataclasses import dataclass

from ingest.emulator import protos
from ingest.emulator.behaviour.switches import Switches
from ingest.emulator.clock import Clock
from ingest.emulator.gcs import ObjectReader
from ingest.emulator.ids import Ids
from ingest.emulator.names import Names
from ingest.emulator.store.analyses import AnalysisStore
from ingest.emulator.store.conversations import ConversationStore
from ingest.emulator.store.database import Database
from ingest.emulator.store.matchers import MatcherStore

DEFAULT_LANGUAGE = "en-US"
"""Settings.language_code of a fresh location (documented default)."""

_EXPIRY_DELAY_US = 24 * 3_600_000_000


@dataclass(frozen=True, slots=True)
class Core:
    """The parts of one emulator, made once."""

    names: Names
    clock: Clock
    ids: Ids
    database: Database
    objects: ObjectReader
    conversations: ConversationStore
    analyses: AnalysisStore
    matchers: MatcherStore
    switches: Switches

    def forget_expired(self) -> None:
        """Delete what expired more than a day ago (documented: 24 hours after expiry)."""
        expired = self.conversations.expired(self.clock.now() - _EXPIRY_DELAY_US)
        if expired:
            with self.database.transaction():
                for seq in expired:
                    self.conversations.delete(seq)

    def settings(self, parent: str) -> protos.Pb:
        """Return the location's settings; a fresh location has some (inferred), never NOT_FOUND."""
        row = self.database.execute(
            "select settings from parents where parent_id = ?", (self.database.parent_id(parent),)
        ).fetchone()
        if row[0] is not None:
            return protos.Settings.FromString(row[0])
        return protos.Settings(name=f"{parent}/settings", language_code=DEFAULT_LANGUAGE)

    def keep_settings(self, parent: str, settings: protos.Pb) -> None:
        """Store the location's settings."""
        self.database.execute(
            "update parents set settings = ? where parent_id = ?",
            (settings.SerializeToString(), self.database.parent_id(parent)),
        )
