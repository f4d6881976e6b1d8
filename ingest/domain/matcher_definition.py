"""What a phrase matcher is: groups of rules, of which each names one phrase.

As PhraseMatcher of the client (1.29.0) has them, but for names that CI makes up.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class MatchType(StrEnum):
    """How groups make a matcher and rules make a group."""

    ALL_OF = "ALL_OF"
    ANY_OF = "ANY_OF"


class Role(StrEnum):
    """Who speaks a segment, or whom a matcher listens to (ConversationParticipant.Role)."""

    ROLE_UNSPECIFIED = "ROLE_UNSPECIFIED"
    HUMAN_AGENT = "HUMAN_AGENT"
    AUTOMATED_AGENT = "AUTOMATED_AGENT"
    END_USER = "END_USER"
    ANY_AGENT = "ANY_AGENT"


@dataclass(frozen=True, slots=True)
class PhraseRule:
    """One phrase; `negated` means it must be missing from the segment."""

    query: str
    negated: bool = False
    case_sensitive: bool = False


@dataclass(frozen=True, slots=True)
class RuleGroup:
    """Rules that hold together (ALL_OF) or one by one (ANY_OF); no rules never hold."""

    name: str
    type: MatchType
    rules: tuple[PhraseRule, ...]


@dataclass(frozen=True, slots=True)
class MatcherDefinition:
    """What a phrase matcher looks for; no groups never match."""

    display_name: str
    type: MatchType
    groups: tuple[RuleGroup, ...]
    role_match: Role = Role.ROLE_UNSPECIFIED
    active: bool = True
