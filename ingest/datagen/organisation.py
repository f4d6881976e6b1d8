"""The made-up contact centre: sites, teams, agents, queues, portfolios and campaigns."""

from __future__ import annotations

import datetime as dt
import random
from dataclasses import dataclass
from functools import cache
from zoneinfo import ZoneInfo

from ingest.datagen.cast import FIRST_NAMES, LAST_NAMES, Agent
from ingest.domain.conversation import BusinessLine, Direction, Medium

SITES = {
    "Adelaide": "Australia/Adelaide",
    "Fortitude Valley": "Australia/Brisbane",
    "Geelong": "Australia/Melbourne",
    "Ipswich": "Australia/Brisbane",
    "Joondalup": "Australia/Perth",
    "Parramatta": "Australia/Sydney",
}
PORTFOLIOS = {
    "Meridian Recoveries": (
        "PF-MER-TEL-2024-03",
        "PF-MER-FURN-2024",
        "PF-WIRRA-2024B",
        "PF-WIRRA-2025A",
        "PF-CORRAMUNDI-2025",
        "PF-BLUESAND-2025",
    ),
    "Harbourline Finance": ("PF-HLF-AUTO-02", "PF-HLF-PERS-07", "PF-HLF-PERS-11"),
}
CAMPAIGNS = ("CMP-HL-SUMMER-25", "CMP-HL-SMALL-2511", "CMP-TOPUP-SUMMER-25", "CMP-HL-AUTUMN-26")
LOANS_BRAND = "Harbourline Finance"

_EARLY, _LATE = "Early Stage Collections", "Late Stage Collections"
_RESOLUTIONS, _SERVICING, _SUPPORT = "Customer Resolutions", "Loan Servicing", "Loans Support"
_TEAM_SIZE = 18


@dataclass(frozen=True, slots=True)
class Desk:
    """Where a kind of conversation lands: teams that may take it, and its queue by team."""

    queues: tuple[tuple[str, str], ...]


_DESKS = {
    (BusinessLine.COLLECTIONS, Direction.OUTBOUND, Medium.PHONE_CALL): Desk(
        ((_EARLY, "collections-outbound-early"), (_LATE, "collections-outbound-late"))
    ),
    (BusinessLine.COLLECTIONS, Direction.INBOUND, Medium.PHONE_CALL): Desk(
        ((_EARLY, "collections-inbound"), (_RESOLUTIONS, "collections-inbound"))
    ),
    (BusinessLine.LOANS, Direction.OUTBOUND, Medium.PHONE_CALL): Desk(
        ((_SERVICING, "loans-outbound"),)
    ),
    (BusinessLine.LOANS, Direction.INBOUND, Medium.PHONE_CALL): Desk(
        ((_SERVICING, "loans-inbound-servicing"), (_SUPPORT, "loans-support-inbound"))
    ),
}
_CHAT_DESKS = {
    BusinessLine.COLLECTIONS: Desk(((_RESOLUTIONS, "collections-chat"),)),
    BusinessLine.LOANS: Desk(((_SUPPORT, "loans-chat"),)),
}


@cache
def roster() -> dict[str, tuple[Agent, ...]]:
    """Return the agents of each team; the same people in every data set."""
    rng = random.Random("roster")
    sites = list(SITES)
    teams: dict[str, tuple[Agent, ...]] = {}
    number = 3001
    for team in (_EARLY, _LATE, _RESOLUTIONS, _SERVICING, _SUPPORT):
        agents = []
        for index in range(_TEAM_SIZE):
            agents.append(
                Agent(
                    agent_id=f"AGT-{number}",
                    first=FIRST_NAMES[int(rng.random() * len(FIRST_NAMES))],
                    last=LAST_NAMES[int(rng.random() * len(LAST_NAMES))],
                    team=team,
                    site=sites[index % len(sites)],
                    words_per_minute=145 + int(rng.random() * 40),
                    care=0.45 + 0.5 * rng.random(),
                    hesitation=0.02 + 0.06 * rng.random(),
                )
            )
            number += 1
        teams[team] = tuple(agents)
    return teams


def staff(
    rng: random.Random, line: BusinessLine, direction: Direction, medium: Medium
) -> tuple[tuple[Agent, Agent], str]:
    """Return an agent with the one who would take over, and the queue."""
    desk = _CHAT_DESKS[line] if medium is Medium.CHAT else _DESKS[(line, direction, medium)]
    team, queue = desk.queues[int(rng.random() * len(desk.queues))]
    first = roster()[team][int(rng.random() * _TEAM_SIZE)]
    senior = _RESOLUTIONS if line is BusinessLine.COLLECTIONS else _SUPPORT
    second = roster()[senior][int(rng.random() * _TEAM_SIZE)]
    if second.agent_id == first.agent_id or second.first == first.first:
        second = next(a for a in roster()[senior] if a.first != first.first)
    return (first, second), queue


@cache
def site_offset(site: str, day: dt.date) -> dt.timezone:
    """Return the site's UTC offset at noon of the day."""
    noon = dt.datetime.combine(day, dt.time(12), ZoneInfo(SITES[site]))
    offset = noon.utcoffset()
    if offset is None:
        raise ValueError(f"no offset for {site}")
    return dt.timezone(offset)
