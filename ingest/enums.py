"""Words that a caller chooses from, shared by the command line, the settings and the flows.

They stand alone so that the help of a command needs no more than them.
"""

from __future__ import annotations

from enum import StrEnum


class LogFormat(StrEnum):
    """How remote effects are logged on stderr."""

    NONE = "none"
    TEXT = "text"
    JSON = "json"


class Mode(StrEnum):
    """How analyses are asked for."""

    AUTO = "auto"
    SINGLE = "single"
    BULK = "bulk"


class Foreign(StrEnum):
    """What a push does with a conversation of its id that others made in Insights."""

    REFUSE = "refuse"
    ADOPT = "adopt"
    REPLACE = "replace"


class Redaction(StrEnum):
    """Whether personal details are taken out before anything is sent."""

    OFF = "off"
    BEFORE_INSIGHTS = "before_insights"
