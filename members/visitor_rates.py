"""How often one address may ask with publishable keys: reads and writes by the minute.

Counted in Redis over a sliding window, by the library `limits`. Where Redis is gone nobody is
counted: the limits on live holds are the database's own (`holds/limits.py`). Only public addresses
are counted, as for those (`members.pages.address_of`).
"""

from functools import lru_cache
from typing import Any

from django.conf import settings
from limits import RateLimitItemPerMinute
from limits.storage import RedisStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from config.kernel.errors import DomainError
from config.kernel.redis import ask

_SAFE = {"GET", "HEAD"}


class TooManyRequests(DomainError):
    code = "rate_limited"
    status = 429
    detail = "Too many requests from this address. Please wait a moment."
    retry_after_seconds = 20


def refuse_too_many(address: str | None, method: str | None, *, only_reads: bool = False) -> None:
    """Count one request of an address. Raises TooManyRequests (429)."""
    if address is None:
        return
    reads = only_reads or method in _SAFE
    most = settings.VISITOR_READS_PER_MINUTE if reads else settings.VISITOR_WRITES_PER_MINUTE
    item = RateLimitItemPerMinute(most, namespace="visitors")
    kind = "reads" if reads else "writes"
    if not ask(lambda client: _counted(client, item, kind, address), otherwise=True):
        raise TooManyRequests


def _counted(client: Any, item: RateLimitItemPerMinute, *who: str) -> bool:
    return _limiter(client).hit(item, *who)


@lru_cache(maxsize=8)
def _limiter(client: Any) -> SlidingWindowCounterRateLimiter:
    """One for each client, whose connections and short timeouts it uses."""
    storage = RedisStorage("redis://", connection_pool=client.connection_pool)
    return SlidingWindowCounterRateLimiter(storage)
