"""How often somebody may try: counted in memory, in a bounded space."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass

from candor.collect.errors import Refused

KEYS = 20_000


@dataclass(slots=True)
class _Bucket:
    level: float
    at: float


class Throttle:
    """A token bucket per key: ``burst`` at once, ``per_second`` on average."""

    def __init__(self, *, burst: float, per_second: float) -> None:
        self.burst, self.per_second = burst, per_second
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, key: str, *, now: float, what: str = "too many requests") -> None:
        """Takes one. Raises Refused (429) where none is left."""
        with self._lock:
            bucket = self._buckets.pop(key, None) or _Bucket(self.burst, now)
            level = min(self.burst, bucket.level + max(now - bucket.at, 0) * self.per_second)
            enough = level >= 1
            self._buckets[key] = _Bucket(level - 1 if enough else level, now)
            while len(self._buckets) > KEYS:
                self._buckets.popitem(last=False)
        if not enough:
            raise Refused(429, what, fix="wait a little", retry_after=(1 - level) / self.per_second)

    def forget(self, key: str) -> None:
        """Fills a bucket up again, after a success."""
        with self._lock:
            self._buckets.pop(key, None)
