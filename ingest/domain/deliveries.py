"""Which files of a conversation count, where it was delivered more than once.

This is the rule of the registry (`int_conversation_deliveries`, `int_conversation_versions`). The
sidecar submits by it too, so that what Insights holds is a version that the registry knows.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

from ingest.domain.conversation import FileKind


@dataclass(frozen=True)
class FileVersion:
    """One generation of a file; `landed_at` is None while no raw row tells of it.

    `run_id` is that of the run that landed it first, or that will land it.
    """

    kind: FileKind
    generation: int
    uri: str
    batch_date: dt.date
    content_sha256: str | None
    run_id: str
    landed_at: dt.datetime | None = None


@dataclass(frozen=True)
class Counting:
    """The files that count, and the date folder that was delivered last."""

    batch_date: dt.date
    files: dict[FileKind, FileVersion]


def counting(versions: Iterable[FileVersion]) -> Counting | None:
    """Return the files of one conversation that count, None where there is no version.

    The folder that was delivered last gives its own files; what it lacks is what other folders
    delivered last. A delivery is what one run landed of one folder. Deliveries are in the order
    of their generations, and folders of one run follow one another by date.
    """
    ordered = [version for _, versions in _deliveries(versions) for version in versions]
    if not ordered:
        return None
    batch_date = ordered[-1].batch_date
    last = {version.kind: version for version in ordered}
    own = {version.kind: version for version in ordered if version.batch_date == batch_date}
    return Counting(batch_date, last | own)


type _Order = tuple[int, dt.date, int, str]


def _deliveries(versions: Iterable[FileVersion]) -> list[tuple[_Order, list[FileVersion]]]:
    found: list[tuple[_Order, list[FileVersion]]] = []
    by_run = sorted(versions, key=lambda version: (version.run_id, version.batch_date))
    for run_id, of_run in groupby(by_run, lambda version: version.run_id):
        so_far = 0
        for batch_date, of_folder in groupby(of_run, lambda version: version.batch_date):
            for place, delivery in enumerate(_places(of_folder)):
                so_far = max(so_far, *(version.generation for version in delivery))
                found.append(((so_far, batch_date, place, run_id), delivery))
    return sorted(found, key=lambda told: told[0])


def _places(of_folder: Iterable[FileVersion]) -> list[list[FileVersion]]:
    """Return a folder's deliveries in one run: the first version of each kind, the second, …"""
    places: list[list[FileVersion]] = []
    by_kind = sorted(of_folder, key=lambda v: (v.kind, v.generation, v.content_sha256 or ""))
    for _, of_kind in groupby(by_kind, lambda version: version.kind):
        for place, version in enumerate(of_kind):
            if place == len(places):
                places.append([])
            places[place].append(version)
    return places
