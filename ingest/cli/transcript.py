"""`ingest transcript`: what was said in one conversation."""

from __future__ import annotations

import shutil
from collections.abc import Iterable

import typer

from ingest.cli._console import counted, moment_text, safe, styled, wrapped
from ingest.cli._context import resolved_id
from ingest.cli._options import AsJson, ConversationArgument
from ingest.cli._output import opened, print_json
from ingest.flows.transcript import Match, SpokenTurn, Talk, read_talk


def transcript(conversation_id: ConversationArgument, as_json: AsJson = False) -> None:
    """Print the talk with speaker, time, sentiment and phrase matches. Holds personal data.

    Example: ingest transcript 317675af
    """

    show_transcript(conversation_id, as_json=as_json)


_OPEN, _CLOSE = "«", "»"
_INDENT = " " * 26
_LEAST_WIDTH, _MOST_WIDTH = 40, 110
_SPEAKER_COLOURS = {"AGENT": "cyan", "AUTOMATED_AGENT": "magenta", "CUSTOMER": "yellow"}


def show_transcript(given_id: str, *, as_json: bool) -> None:
    """Print the talk."""
    settings, warehouse = opened()
    talk = read_talk(warehouse, resolved_id(settings, warehouse, given_id))
    if as_json:
        print_json(talk)
    else:
        columns = shutil.get_terminal_size().columns
        typer.echo(text_of(talk, max(_LEAST_WIDTH, min(_MOST_WIDTH, columns))))


def text_of(talk: Talk, width: int) -> str:
    """Return the talk for a terminal; echo drops its colours where there is none."""
    lines = [*wrapped(f"{talk.conversation_id}  {safe(_heading(talk))}", width, "  "), ""]
    for turn in talk.turns:
        lines += _turn_lines(turn, width)
    return "\n".join(lines)


def marked(text: str, matches: Iterable[Match]) -> str:
    """Return the text with guillemets around every phrase match, overlapping ones as one."""
    spans: list[tuple[int, int]] = []
    for start, end in sorted(
        (match.start_char, match.end_char)
        for match in matches
        if match.start_char is not None and match.end_char is not None
    ):
        if spans and start <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(end, spans[-1][1]))
        else:
            spans.append((start, end))
    for start, end in reversed(spans):
        text = f"{text[:start]}{_OPEN}{text[start:end]}{_CLOSE}{text[end:]}"
    return text


def _heading(talk: Talk) -> str:
    parts = [moment_text(talk.started_at)] if talk.started_at else []
    if talk.duration_sec is not None:
        parts.append(f"{talk.duration_sec / 60:.1f} min")
    parts.append(counted(len(talk.turns), "turn"))
    if talk.analysis_name is None:
        parts.append("not analysed: no sentiment and no matches")
    else:
        count = sum(len(turn.matches) for turn in talk.turns)
        parts.append(counted(count, "phrase match", "phrase matches"))
        if talk.overall_sentiment is not None:
            parts.append(f"customer sentiment {talk.overall_sentiment:+.2f}")
    return ", ".join(parts)


def _turn_lines(turn: SpokenTurn, width: int) -> list[str]:
    colour = _SPEAKER_COLOURS.get(turn.speaker)
    speaker = "BOT" if turn.speaker == "AUTOMATED_AGENT" else turn.speaker
    score = "" if turn.sentiment_score is None else f"{turn.sentiment_score:+.2f}"
    head = f"{_clock(turn.start_offset_sec)}  {styled(f'{safe(speaker):<9}', fg=colour)} "
    said = safe(marked(turn.text.replace("\n", " "), turn.matches))
    first, *others = wrapped(said, width - len(_INDENT))
    lines = [f"{head}{_score(score)}  {_bold_matches(first)}"]
    lines += [f"{_INDENT}{_bold_matches(line)}" for line in others]
    for match in turn.matches:
        phrase = f': "{safe(match.phrase)}"' if match.phrase else ""
        told = wrapped(f"^ {safe(match.phrase_matcher)}{phrase}", width - len(_INDENT), "  ")
        lines += [styled(f"{_INDENT}{line}", dim=True) for line in told]
    return lines


def _score(text: str) -> str:
    if not text:
        return " " * 5
    fg = "red" if text.startswith("-") else "green" if text != "+0.00" else None
    return styled(f"{text:>5}", fg=fg)


def _bold_matches(line: str) -> str:
    before = styled("", bold=True, reset=False)
    after = styled("", bold=False, reset=False)
    return line.replace(_OPEN, f"{before}{_OPEN}").replace(_CLOSE, f"{_CLOSE}{after}")


def _clock(offset_sec: float | None) -> str:
    if offset_sec is None:
        return "  --:--"
    minutes, seconds = divmod(int(offset_sec), 60)
    return f"{minutes:>4}:{seconds:02}"
