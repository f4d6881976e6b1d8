"""Ids that the server makes: unsigned 64-bit decimals, larger than a signed integer holds."""

from __future__ import annotations

import random


class Ids:
    """Draws resource ids and revision ids from the given source of randomness."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def resource(self) -> str:
        """Return a fresh id of 17 to 20 digits (seen: 13848965911864781366)."""
        return str(self._rng.randrange(10**17, 2**64))

    def revision(self) -> str:
        """Return a fresh revision id (documented form: `…/phraseMatchers/x@1234567`)."""
        return str(self._rng.randrange(10**6, 10**16))
