"""A bucket in memory, with generations and preconditions."""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count

import google_crc32c

from ingest.errors import RemoteError
from ingest.ports.move import Page, StoredObject
from tests.fakes.clock import EPOCH
from tests.fakes.trouble import Trouble

_FIRST_GENERATION = 1_760_000_000_000_000


@dataclass
class FakeObjectStore:
    """One bucket that keeps old generations."""

    bucket: str = "local-project-cc-dev"
    list_page_size: int = 1000
    trouble: Trouble = field(default_factory=Trouble)
    now: Callable[[], dt.datetime] = lambda: EPOCH
    """The bucket's own clock."""
    _generations: dict[str, list[tuple[StoredObject, bytes]]] = field(default_factory=dict)
    _live: dict[str, StoredObject] = field(default_factory=dict)
    _numbers: count[int] = field(default_factory=lambda: count(_FIRST_GENERATION))

    @property
    def live_names(self) -> list[str]:
        """Names of all live objects, in order."""
        return sorted(self._live)

    def generation_count(self, name: str) -> int:
        """How many generations of the object are kept."""
        return len(self._generations.get(name, ()))

    def hide(self, name: str) -> None:
        """Delete the live object as a bucket with versioning does: its generation stays."""
        del self._live[name]

    async def put(
        self,
        name: str,
        content: bytes,
        *,
        content_type: str,
        content_sha256: str | None,
        if_generation_match: int,
    ) -> StoredObject:
        async with self.trouble.call("put"):
            live = self._live.get(name)
            if (live.generation if live else 0) != if_generation_match:
                raise RemoteError("fake: generation differs", code="FAILED_PRECONDITION")
            crc32c = base64.b64encode(google_crc32c.Checksum(content).digest()).decode()
            stored = StoredObject(
                name, next(self._numbers), crc32c, len(content), content_sha256, self.now()
            )
            self._generations.setdefault(name, []).append((stored, content))
            self._live[name] = stored
            return stored

    async def stat(self, name: str) -> StoredObject | None:
        async with self.trouble.call("stat"):
            return self._live.get(name)

    async def read(self, name: str) -> bytes:
        async with self.trouble.call("read"):
            return self.content(name)

    def content(self, name: str) -> bytes:
        """Return the live object's bytes, without a call."""
        if name not in self._live:
            raise RemoteError(f"fake: no object {name}", code="NOT_FOUND")
        live = self._live[name].generation
        return next(c for stored, c in self._generations[name] if stored.generation == live)

    async def list(
        self, prefix: str, start: str = "", end: str = "", page_token: str = ""
    ) -> Page[StoredObject]:
        async with self.trouble.call("list"):
            found = [
                stored
                for name, stored in sorted(self._live.items())
                if name.startswith(prefix)
                and max(start, page_token) <= name
                and (not end or name < end)
            ]
            rest = found[self.list_page_size :]
            return Page(found[: self.list_page_size], rest[0].name if rest else "")

    async def delete(self, name: str, generation: int) -> None:
        async with self.trouble.call("delete"):
            kept = [held for held in self._generations.get(name, ()) if _is_not(held, generation)]
            self._generations[name] = kept
            if name in self._live and self._live[name].generation == generation:
                del self._live[name]

    async def folders(self, prefix: str, *, with_old: bool = False) -> Sequence[str]:
        async with self.trouble.call("folders"):
            kept = [name for name, held in self._generations.items() if held]
            names = kept if with_old else self._live
            rests = (n.removeprefix(prefix) for n in names if n.startswith(prefix))
            return sorted({f"{rest.split('/')[0]}/" for rest in rests if "/" in rest})

    async def count_generations(self, prefix: str) -> int:
        async with self.trouble.call("count_generations"):
            held = [kept for name, kept in self._generations.items() if name.startswith(prefix)]
            return sum(len(kept) for kept in held)

    async def delete_all_generations(self, prefix: str) -> int:
        async with self.trouble.call("delete_all_generations"):
            names = [name for name in self._generations if name.startswith(prefix)]
            gone = sum(len(self._generations.pop(name)) for name in names)
            for name in names:
                self._live.pop(name, None)
            return gone


def _is_not(held: tuple[StoredObject, bytes], generation: int) -> bool:
    return held[0].generation != generation
