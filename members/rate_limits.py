"""How many requests a minute one API key may make; never by address (api.md, "Rate limits").

The count is shared through Redis by the `limits` library, in a window of a minute that begins with
a key's first request. Each process counts by itself and reports what it has let through when that
is a hundredth of the limit, or after a second: so a busy key costs Redis a few questions a second,
and passes its limit by no more than what the processes have not reported yet. A small limit is
reported request by request, and is exact. What was refused once is refused until the window's end
without asking. Without Redis nobody is limited (design.md §7).
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock

import redis
from django.conf import settings
from limits import RateLimitItem, RateLimitItemPerMinute
from limits.storage import RedisStorage
from limits.strategies import FixedWindowRateLimiter

from config.kernel.errors import DomainError
from config.kernel.redis import ask
from members.models import ApiKey

MOST_UNREPORTED = 100
REPORT_SECONDS = 1.0
WINDOW_SECONDS = 60


class RateLimited(DomainError):
    code = "rate_limited"
    status = 429
    detail = "This key has made too many requests in a minute. Wait as long as Retry-After says."


@dataclass(slots=True)
class _Count:
    """What this process knows of one key."""

    unreported: int = 0
    reported_at: float = -math.inf
    refused_until: float = -math.inf


@dataclass(frozen=True, slots=True)
class _Report:
    """How many of a key's requests to tell of, and the limit that they are held against."""

    key: str
    item: RateLimitItem
    many: int


class Counter:
    """Counts of one process; the product has one, tests make two to be two processes."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = Lock()
        self._counts: dict[str, _Count] = {}

    def hit(self, key: str, limit: int) -> None:
        """Count a request of the key with this id; `limit` a minute, 0 for none.

        Raises RateLimited (429) with the seconds until the key's window ends.
        """
        if limit <= 0:
            return
        report = self._counted(key, limit)
        if report is not None and (left := _told(report)):
            with self._lock:
                self._counts[key].refused_until = self._clock() + left
            raise _refusal(left)

    def _counted(self, key: str, limit: int) -> _Report | None:
        now = self._clock()
        with self._lock:
            count = self._counts.setdefault(key, _Count())
            if now < count.refused_until:
                raise _refusal(count.refused_until - now)
            if now - count.reported_at >= WINDOW_SECONDS:
                count.unreported = 0  # of a window that is over
            count.unreported += 1
            is_due = count.unreported >= min(MOST_UNREPORTED, max(1, limit // 100))
            if not is_due and now - count.reported_at < REPORT_SECONDS:
                return None
            many, count.unreported, count.reported_at = count.unreported, 0, now
        return _Report(key, RateLimitItemPerMinute(limit), many)


_of_this_process = Counter()


def count_request(key: ApiKey) -> None:
    """Count one request of this key. Raises RateLimited (429)."""
    limit = key.requests_per_minute or settings.API_REQUESTS_PER_MINUTE
    _of_this_process.hit(str(key.pk), limit)


def _told(report: _Report) -> float:
    """Tell Redis in one round trip; where the key's window is full, the seconds until it ends (a
    second round trip), else 0.
    """
    return ask(lambda client: _told_to(client, report), 0.0)


def _told_to(client: redis.Redis, report: _Report) -> float:
    limiter = _limiter(client)
    if limiter.hit(report.item, report.key, cost=report.many):
        return 0.0
    ends_at = limiter.storage.get_expiry(report.item.key_for(report.key))
    return max(1.0, ends_at - time.time())


@lru_cache(maxsize=8)
def _limiter(client: redis.Redis) -> FixedWindowRateLimiter:
    """Over the connections of our own client, with its timeouts."""
    storage = RedisStorage(
        "redis://", connection_pool=client.connection_pool, key_prefix="requests"
    )
    return FixedWindowRateLimiter(storage)


def _refusal(seconds: float) -> RateLimited:
    return RateLimited(retry_after_seconds=math.ceil(seconds))
