"""Makes the weights of the emulator's sentiment, and measures them.

    python -m tests.sentiment_model            # learn, write the weights, print the table
    python -m tests.sentiment_model --measure  # print the table alone

The customers' turns of the 24 seed conversations were labelled by hand, by one reader, before any
score was seen: n, o or p for each. Twelve conversations are for learning and tuning; the other
twelve were measured once, at the end. The moods that the generator plants were tried as further
examples and made it worse: they are of the call, not of the words.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from ingest.domain.matchers import Role
from ingest.emulator.analysis.annotators import turn_sentiment
from ingest.emulator.analysis.lexicon import analyzer
from ingest.emulator.analysis.sentiment import WEIGHTS_FILE, facts, words_of
from ingest.emulator.analysis.turns import Turn

SEEDS = Path(__file__).parents[1] / "seeds" / "conversations"
LABELS = Path(__file__).with_name("fixtures") / "sentiment_labels.json"
HALVES = ("tuning", "unseen")
SIGNS = {"n": -1, "o": 0, "p": 1}
LEAST_COUNT = 2
"""A word that fewer turns say is left out."""
DECAY = 0.01
LEAN = (1.2, 0.0, 0.8)
"""Added to the bias at last, since most turns are neutral and what isn't should be found. These
three were chosen by parting the tuning half in six."""
STEPS = 500
_LEXICON_CUT = 0.05

Labelled = list[tuple[str, int]]


def labelled(half: str) -> Labelled:
    """Return the customers' turns of a half, each with its sign."""
    found: Labelled = []
    for id_, signs in orjson.loads(LABELS.read_bytes())[half].items():
        (file,) = SEEDS.glob(f"*/{id_}/transcription.json")
        turns = orjson.loads(file.read_bytes())["turns"]
        texts = [turn["text"] for turn in turns if turn["speaker"] == "CUSTOMER"]
        found += zip(texts, (SIGNS[sign] for sign in signs), strict=True)
    return found


def learnt(examples: Labelled) -> dict[str, Any]:
    """Return the weights: softmax regression by accelerated gradient descent."""
    said = [list(words_of(text)) for text, _ in examples]
    counts = Counter(word for words in said for word in words)
    columns = {w: at for at, w in enumerate(sorted(w for w in counts if counts[w] >= LEAST_COUNT))}
    rows = [facts(analyzer().polarity_scores(text), len(text.split())) for text, _ in examples]
    data = np.zeros((len(examples), len(columns) + len(rows[0])))
    for at, words in enumerate(said):
        data[at, [columns[word] for word in words if word in columns]] = 1
    data[:, len(columns) :] = rows
    found, bias = _descended(data, np.eye(3)[[sign + 1 for _, sign in examples]])
    rounded = [[round(float(weight), 3) for weight in row] for row in found]
    return {
        "bias": [round(float(b) + lean, 3) for b, lean in zip(bias, LEAN, strict=True)],
        "facts": rounded[len(columns) :],
        "words": {word: rounded[at] for word, at in columns.items()},
    }


def _descended(data: Any, wanted: Any) -> tuple[Any, Any]:
    count, width = data.shape
    rate = min(1.0, 2 / (0.5 * float((data**2).sum(1).max()) + 0.1))
    found, ahead = np.zeros((width, 3)), np.zeros((width, 3))
    bias, bias_ahead = np.zeros(3), np.zeros(3)
    for step in range(STEPS):
        sums = data @ ahead + bias_ahead
        shares = np.exp(sums - sums.max(1, keepdims=True))
        error = shares / shares.sum(1, keepdims=True) - wanted
        next_found = ahead - rate * (data.T @ error / count + DECAY * ahead)
        next_bias = bias_ahead - rate * error.sum(0) / count
        momentum = step / (step + 3)
        ahead = next_found + momentum * (next_found - found)
        bias_ahead = next_bias + momentum * (next_bias - bias)
        found, bias = next_found, next_bias
    return found, bias


def _by_model(text: str) -> int:
    score = turn_sentiment(Turn(0, text, Role.END_USER, 1)).score
    return (score > 0) - (score < 0)


def _by_lexicon(text: str) -> int:
    compound = analyzer().polarity_scores(text)["compound"]
    return (compound >= _LEXICON_CUT) - (compound <= -_LEXICON_CUT)


METHODS: dict[str, Callable[[str], int]] = {
    "always neutral": lambda _: 0,
    "the lexicon alone": _by_lexicon,
    "this model": _by_model,
}


def table() -> str:
    """Return the measured agreement as the emulator's README shows it."""
    return "\n".join(
        [
            "| method | turns | same sign | opposite sign | negatives found | positives found |",
            "|---|---|---|---|---|---|",
            *(line for half in reversed(HALVES) for line in _lines(half)),
        ]
    )


def _lines(half: str) -> Iterator[str]:
    examples = labelled(half)
    for name, method in METHODS.items():
        if half == "tuning" and name != "this model":
            continue
        pairs = [(sign, method(text)) for text, sign in examples]
        cells = (
            f"{len(pairs)} {half}",
            _share([given == sign for sign, given in pairs]),
            _share([given * sign < 0 for sign, given in pairs]),
            *(_share([given == of for sign, given in pairs if sign == of]) for of in (-1, 1)),
        )
        yield f"| {name} | {' | '.join(cells)} |"


def _share(hits: Sequence[bool]) -> str:
    return f"{sum(hits)} of {len(hits)} ({sum(hits) / len(hits):.1%})"


def main(arguments: Sequence[str]) -> None:
    """Learn and write, unless only the table is asked for."""
    if "--measure" not in arguments:
        WEIGHTS_FILE.write_bytes(
            orjson.dumps(learnt(labelled("tuning")), option=orjson.OPT_SORT_KEYS) + b"\n"
        )
    sys.stdout.write(f"{table()}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
