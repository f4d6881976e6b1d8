"""How talk differs from text: hesitation, repetition, cut-off turns, and typing."""

from __future__ import annotations

import random

from ingest.datagen.grammar import Mark, Phrasing

_FILLERS = ("um", "uh", "er", "like", "you know", "ah", "sort of", "I mean", "what's it", "yeah")
_TYPOS = (
    ("you ", "u "),
    ("because", "cause"),
    ("please", "pls"),
    ("'m ", "m "),
    ("'t ", "t "),
    ("'s ", "s "),
    ("the ", "teh "),
    ("though", "tho"),
    ("really", "realy"),
    ("tomorrow", "tmrw"),
    ("and ", "n "),
    ("definitely", "definately"),
    ("received", "recieved"),
)


def hesitate(phrasing: Phrasing, share: float, rng: random.Random) -> None:
    """Put fillers and repeated words into the literal text, about `share` of the long pieces.

    Only a piece without a mark is touched, and only inside, so marks stay true.
    """
    pieces = phrasing.pieces
    marked = {at for first, last, _ in phrasing.marks for at in range(first, last)}
    for index, piece in enumerate(pieces):
        if len(piece) < 14 or rng.random() >= share or index in marked:
            continue
        at = piece.find(" ", 2 + int(rng.random() * (len(piece) - 8)))
        if at < 0 or at + 1 >= len(piece):
            continue
        before, after = piece[:at], piece[at + 1 :]
        if before[-1] in ".?!…—" or not after[0].isalpha():
            continue
        if rng.random() < 0.3:
            word, _, _ = after.partition(" ")
            if word.isalpha() and len(word) < 5:
                pieces[index] = f"{before} {word}— {after}"
                continue
        filler = _FILLERS[int(rng.random() * len(_FILLERS))]
        comma = "" if before[-1] in ",;:" else ","
        pieces[index] = f"{before}{comma} {filler}, {after}"


def cut_off(
    text: str, marks: list[tuple[int, int, Mark]]
) -> tuple[str, list[tuple[int, int, Mark]]]:
    """Return the text broken off in its last third, with the marks that are left whole."""
    at = text.rfind(" ", 0, max(8, len(text) - len(text) // 4))
    if at < 8:
        return text, marks
    kept = text[:at].rstrip(" ,.?!—…")
    return f"{kept}—", [mark for mark in marks if mark[1] <= len(kept)]


def typed(
    text: str, marks: list[tuple[int, int, Mark]], is_lowercase: bool, rng: random.Random
) -> str:
    """Return the text as a customer types it; text with marks keeps its letters in place."""
    if marks:
        return text
    if is_lowercase:
        text = text[0].lower() + text[1:] if not text.startswith(("I ", "I'")) else text
        text = text.removesuffix(".").replace("—", "-").replace("…", "...")
    if rng.random() < 0.35:
        old, new = _TYPOS[int(rng.random() * len(_TYPOS))]
        text = text.replace(old, new, 1)
    return text
