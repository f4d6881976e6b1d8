"""How fast calls may go: a sliding window a quota, slowed when the service says so.

Google counts calls by the minute (design: 300 creates, 300 analyses, 3,000 calls). A window that
remembers its grants admits the whole quota at once and never more in any window, which a token
bucket can't do: a bucket with room for the quota may admit twice as much in one minute, and a
small one delays a small batch for nothing. The window is a second longer than the minute, so that
a call that was slow to arrive and the next one still fall into different minutes of the service.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

WINDOW_SEC = 61.0
_BACKOFF_FACTOR = 0.5
_RECOVERY_PER_SEC = 0.02
_LEAST_SHARE = 0.05
_ONE_BACKOFF_SEC = 1.0


@dataclass(frozen=True)
class QuotaUse:
    """Calls in the last minute against what is admitted in one."""

    used: int
    limit: int


class CallWindow:
    """Grants at most `limit` calls in any window; halves its share when told of exhaustion and
    wins it back at 2 % of the limit a second (additive increase, multiplicative decrease).
    """

    def __init__(self, limit: int, window_sec: float = WINDOW_SEC) -> None:
        if limit < 1:
            raise ValueError("a quota admits at least one call")
        self._limit = limit
        self._window_sec = window_sec
        self._grants: deque[float] = deque()
        self._share = 1.0
        self._share_at = float("-inf")
        self._closed_until = float("-inf")
        self._backed_off_at = float("-inf")

    @property
    def limit(self) -> int:
        """Calls a window at full share."""
        return self._limit

    def resize(self, limit: int) -> None:
        """Admit that many calls a window from now on."""
        self._limit = max(1, limit)

    def delay(self, now: float) -> float:
        """Return seconds until the next grant may be taken, 0 when now."""
        self._forget(now)
        wait = max(0.0, self._closed_until - now)
        capacity = max(1, int(self._limit * self._share_now(now)))
        if len(self._grants) >= capacity:
            oldest = self._grants[len(self._grants) - capacity]
            wait = max(wait, oldest + self._window_sec - now)
        return wait

    def take(self, now: float) -> None:
        """Record a grant; call it only when `delay(now)` is 0."""
        self._grants.append(now)

    def exhausted(self, now: float, retry_after_sec: float = 0.0) -> None:
        """The service refused a call for quota: halve the share, and wait as it asked."""
        self._closed_until = max(self._closed_until, now + retry_after_sec)
        if now - self._backed_off_at < _ONE_BACKOFF_SEC:
            return
        self._share = max(_LEAST_SHARE, self._share_now(now) * _BACKOFF_FACTOR)
        self._share_at = max(now, self._closed_until)
        self._backed_off_at = now

    def used(self, now: float) -> int:
        """Return the grants of the window that ends now."""
        self._forget(now)
        return len(self._grants)

    def _share_now(self, now: float) -> float:
        if self._share >= 1.0:
            return 1.0
        return min(1.0, self._share + max(0.0, now - self._share_at) * _RECOVERY_PER_SEC)

    def _forget(self, now: float) -> None:
        while self._grants and self._grants[0] <= now - self._window_sec:
            self._grants.popleft()
