"""Writing a data set: a stream of conversations into date folders, and what came of the profile."""

from __future__ import annotations

import datetime as dt
import gc
import os
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ingest.datagen.dirty import LATE_FOLDER, Delivery, DirtyMode, Spoiler, clean_delivery
from ingest.datagen.maker import Maker
from ingest.datagen.profile import Profile


@dataclass(frozen=True)
class DataSetRequest:
    """What to make. Conversation numbers run from `first_index`, so a set can be made in parts."""

    count: int
    seed: int
    first_day: dt.date
    days: int
    out: Path
    first_index: int = 0


@dataclass(frozen=True, slots=True)
class Share:
    """One figure of the profile: what was asked and what came out, as shares of `of`."""

    name: str
    asked: float
    achieved: float
    of: str


@dataclass(frozen=True)
class DataSetSummary:
    """What was written."""

    conversations: int
    turns: int
    bytes_written: int
    dates: tuple[dt.date, ...]
    shares: tuple[Share, ...]
    dirty: Mapping[str, int]


def generate(
    request: DataSetRequest,
    profile: Profile,
    seeds_dir: Path,
    dirty: Mapping[DirtyMode, float],
    on_progress: Callable[[int], None] = lambda done: None,
) -> DataSetSummary:
    """Write the conversations and return what was written; memory doesn't grow with the count.

    Equal requests write equal bytes on any machine, also over an earlier, unfinished run.
    """
    maker = Maker(request.seed, profile, request.first_day, request.days, seeds_dir)
    spoiler = Spoiler(maker, dict(dirty))
    counts: Counter[str] = Counter()
    spoiled: Counter[str] = Counter()
    dates: set[dt.date] = set()
    writer = _Writer(request.out)
    gc.freeze()
    for done in range(request.count):
        index = request.first_index + done
        made = maker.make(index)
        mode = spoiler.mode_of(index) if dirty else None
        delivery = clean_delivery(made) if mode is None else spoiler.deliver(made, index, mode)
        writer.write(made.batch_date, made.conversation_id, delivery)
        if mode is not None:
            spoiled[mode.value] += 1
        dates.add(made.batch_date)
        counts.update(made.counts)
        if done % 500 == 499:
            on_progress(done + 1)
    gc.unfreeze()
    return DataSetSummary(
        conversations=request.count,
        turns=counts["turns"],
        bytes_written=writer.bytes_written,
        dates=tuple(sorted(dates)),
        shares=(*_profile_shares(profile, counts), *_dirty_shares(dirty, spoiled, request.count)),
        dirty=dict(spoiled),
    )


class _Writer:
    def __init__(self, out: Path) -> None:
        self._out = out
        self._made: set[str] = set()
        self.bytes_written = 0

    def write(self, batch_date: dt.date, conversation_id: str, delivery: Delivery) -> None:
        for root, files in (
            (f"{self._out}/{batch_date.isoformat()}", delivery.files),
            (f"{self._out}/{LATE_FOLDER}/{batch_date.isoformat()}", delivery.late_files),
        ):
            if not files:
                continue
            if root not in self._made:
                Path(root).mkdir(parents=True, exist_ok=True)
                self._made.add(root)
            folder = f"{root}/{conversation_id}"
            try:
                os.mkdir(folder)  # noqa: PTH102
            except FileExistsError:
                self._clear(folder, files)
            for name, content in files.items():
                self._write_file(f"{folder}/{name}", content)

    def _write_file(self, path: str, content: bytes) -> None:
        with open(path, "wb", buffering=0) as file:  # noqa: PTH123
            file.write(content)
        self.bytes_written += len(content)

    def _clear(self, folder: str, files: Mapping[str, bytes]) -> None:
        """Remove what an earlier run with other faults left, so a run's result is its own."""
        for path in Path(folder).iterdir():
            if path.name not in files:
                path.unlink()


def _profile_shares(profile: Profile, counts: Counter[str]) -> list[Share]:
    whole = sum(profile.scenarios.values())
    conversations = counts["conversations"] or 1

    def rate(hits: str, places: str) -> float:
        return counts[hits] / counts[places] if counts[places] else 0.0

    shares = [
        Share(name, weight / whole, counts[f"scenario.{name}"] / conversations, "conversations")
        for name, weight in profile.scenarios.items()
    ]
    shares.append(Share("chat", profile.chat_share, rate("chat", "conversations"), "conversations"))
    shares.append(Share("ivr", profile.ivr_share, rate("ivr", "inbound_calls"), "inbound calls"))
    shares.append(
        Share(
            "disclosure_missed",
            profile.disclosure_missed_share,
            rate("disclosures.hit", "disclosures"),
            "places for a disclosure",
        )
    )
    shares.append(
        Share(
            "noisy_phrase",
            profile.noisy_phrase_share,
            rate("phrases.hit", "phrases"),
            "places for a planted phrase",
        )
    )
    shares += [
        Share(
            f"greeting_{code}",
            each.share,
            rate(f"greeting.{code}", "conversations"),
            "conversations",
        )
        for code, each in profile.greetings.items()
    ]
    for name, asked in (
        ("coaching_fault", profile.coaching_fault_share),
        ("exemplary", profile.exemplary_share),
    ):
        shares.append(Share(name, asked, rate(name, "conversations"), "conversations"))
    return shares


def _dirty_shares(
    dirty: Mapping[DirtyMode, float], spoiled: Mapping[str, int], count: int
) -> list[Share]:
    return [
        Share(f"dirty_{mode}", share, spoiled.get(mode.value, 0) / (count or 1), "conversations")
        for mode, share in dirty.items()
    ]
