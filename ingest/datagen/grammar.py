"""Phrase banks: a small grammar that is parsed once and said millions of times.

A bank file is plain text: `## name` opens a bank, each further line is one template.

    {a|b|c}     one of the alternatives          [text]     the text, every other time
    {name}      a template of bank `name`, or a slot (a name, an amount, …)
    <matcher.group.query::text>   text that a person would count as that phrase, though its
                                  words differ (a noisy label of the truth)

Line and sentence starts are capitalised when said, so templates start in lower case.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Protocol

from ingest.errors import InputError

BANKS_DIR = Path(__file__).parent / "banks"
_SENTENCE_ENDS = ".?!"


@dataclass(frozen=True, slots=True)
class NoisyLabel:
    """A phrase that is meant but not said in the matcher's words."""

    matcher: str
    group: str
    phrase: str


class Speech(Protocol):
    """What a slot may ask: the talk's own dice."""

    rng: random.Random


Slot = Callable[[Speech], tuple[str, str | None]]
"""Returns the slot's text and its kind of personal data, if any."""


@dataclass(slots=True)
class Bank:
    """Templates that are interchangeable."""

    name: str
    templates: list[Template] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Alternatives:
    """One of them is said."""

    choices: tuple[Template, ...]


@dataclass(frozen=True, slots=True)
class Marked:
    """The template's text counts as this phrase."""

    label: NoisyLabel
    template: Template


@dataclass(frozen=True, slots=True)
class SlotRef:
    """Filled by the talk."""

    fill: Slot


Node = str | Bank | Alternatives | Marked | SlotRef
Template = tuple[Node, ...]
Mark = str | NoisyLabel


class Phrasing:
    """One utterance being said: pieces of text, and marks on runs of pieces."""

    __slots__ = ("marks", "pieces")

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.marks: list[tuple[int, int, Mark]] = []

    def say(self, template: Template, talk: Speech, used: set[tuple[str, int]]) -> None:
        """Append what the template says this time; a template isn't said twice in one talk
        while its bank has others."""
        pieces = self.pieces
        for node in template:
            kind = type(node)
            if kind is str:
                pieces.append(node)  # type: ignore[arg-type]
            elif kind is Bank:
                self.say(pick(node, talk.rng, used), talk, used)  # type: ignore[arg-type]
            elif kind is SlotRef:
                text, mark = node.fill(talk)  # type: ignore[union-attr]
                if mark is not None:
                    self.marks.append((len(pieces), len(pieces) + 1, mark))
                pieces.append(text)
            elif kind is Alternatives:
                choices = node.choices  # type: ignore[union-attr]
                self.say(choices[int(talk.rng.random() * len(choices))], talk, used)
            else:
                first = len(pieces)
                self.say(node.template, talk, used)  # type: ignore[union-attr]
                self.marks.append((first, len(pieces), node.label))  # type: ignore[union-attr]

    def text(self) -> tuple[str, list[tuple[int, int, Mark]]]:
        """Return the utterance with sentence starts in capitals, and its marks in code points."""
        pieces = self.pieces
        is_start = True
        for index, piece in enumerate(pieces):
            if not piece:
                continue
            if is_start and piece[0].islower():
                pieces[index] = piece = piece[0].upper() + piece[1:]
            last = piece[-1]
            if last != " ":
                is_start = last in _SENTENCE_ENDS
            elif piece != " ":
                is_start = piece[-2] in _SENTENCE_ENDS
        text = "".join(pieces)
        if not self.marks:
            return text, []
        starts = list(accumulate(map(len, pieces), initial=0))
        return text, [(starts[first], starts[last], mark) for first, last, mark in self.marks]


def pick(bank: Bank, rng: random.Random, used: set[tuple[str, int]]) -> Template:
    """Return a template of the bank, one not used yet if three tries find one."""
    templates = bank.templates
    count = len(templates)
    index = int(rng.random() * count)
    if count > 3:
        for _ in range(3):
            if (bank.name, index) not in used:
                break
            index = int(rng.random() * count)
        used.add((bank.name, index))
    return templates[index]


def load_banks(slots: Mapping[str, Slot], folder: Path = BANKS_DIR) -> dict[str, Bank]:
    """Return all banks of the folder, linked; raise InputError for a name that nothing defines."""
    banks: dict[str, Bank] = {}
    lines: list[tuple[Bank, str, str]] = []
    for path in sorted(folder.glob("*.txt")):
        bank: Bank | None = None
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if line.startswith("## "):
                bank = banks.setdefault(line[3:].strip(), Bank(line[3:].strip()))
            elif line.strip() and not line.startswith("# "):
                if bank is None:
                    raise InputError(f"{path.name}:{number}: a template outside of a bank")
                lines.append((bank, line.strip(), f"{path.name}:{number}"))
    for bank, line, place in lines:
        try:
            bank.templates.append(_Parser(line, banks, slots).template())
        except ValueError as error:
            raise InputError(f"{place}: {error}", "see the grammar's rules") from error
    return banks


class _Parser:
    def __init__(self, line: str, banks: Mapping[str, Bank], slots: Mapping[str, Slot]) -> None:
        self._line = line
        self._at = 0
        self._banks = banks
        self._slots = slots

    def template(self, stops: str = "") -> Template:
        nodes: list[Node] = []
        while self._at < len(self._line):
            char = self._line[self._at]
            if char in stops:
                break
            self._at += 1
            if char == "{":
                nodes.append(self._braces())
            elif char == "[":
                nodes.append(Alternatives((self.template("]"), ())))
                self._expect("]")
            elif char == "<":
                nodes.append(self._marked())
            elif char in "}]>":
                raise ValueError(f"{char!r} closes nothing at column {self._at}")
            else:
                nodes.append(char)
        return tuple(_joined(nodes))

    def _braces(self) -> Node:
        choices = [self.template("|}")]
        while self._line[self._at : self._at + 1] == "|":
            self._at += 1
            choices.append(self.template("|}"))
        self._expect("}")
        if len(choices) > 1:
            return Alternatives(tuple(choices))
        (only,) = choices
        name = "".join(node for node in only if isinstance(node, str))
        if name in self._slots:
            return SlotRef(self._slots[name])
        if name in self._banks:
            return self._banks[name]
        raise ValueError(f"neither a bank nor a slot is called {name!r}")

    def _marked(self) -> Marked:
        end = self._line.index("::", self._at)
        matcher, group, phrase = self._line[self._at : end].split(".", 2)
        self._at = end + 2
        template = self.template(">")
        self._expect(">")
        return Marked(NoisyLabel(matcher, group, phrase), template)

    def _expect(self, char: str) -> None:
        if self._line[self._at : self._at + 1] != char:
            raise ValueError(f"{char!r} is missing")
        self._at += 1


def _joined(nodes: Iterable[Node]) -> list[Node]:
    joined: list[Node] = []
    for node in nodes:
        if isinstance(node, str) and joined and isinstance(joined[-1], str):
            joined[-1] += node
        else:
            joined.append(node)
    return joined
