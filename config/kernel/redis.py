"""Redis, for speed only: what cannot be asked within a moment is done without (design.md §7).

One client for each address and process, with sub-second timeouts. After a failure Redis is left
alone for some seconds, so that a dead one costs a single timeout and not one for each request.
"""

import logging
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar

import redis
from django.conf import settings
from django.db import connection

T = TypeVar("T")

TIMEOUT_SECONDS = 0.25
PAUSE_SECONDS = 5.0

log = logging.getLogger(__name__)
_paused_until: dict[str, float] = {}


def ask(question: Callable[[redis.Redis], T], otherwise: T) -> T:
    """What Redis answers, or `otherwise` when it is gone, slow, or was so a moment ago.

    Inside a transaction Redis is not asked at all: nothing slow happens under a lock.
    """
    if connection.in_atomic_block:
        return otherwise
    address = settings.REDIS_URL
    if time.monotonic() < _paused_until.get(address, 0.0):
        return otherwise
    try:
        return question(_client(address))
    except (redis.RedisError, OSError) as error:
        _paused_until[address] = time.monotonic() + PAUSE_SECONDS
        log.warning("Redis did not answer (%s); it is left alone for a while", error)
        return otherwise


def asked_again() -> None:
    """Forget that Redis failed: the next question is put at once."""
    _paused_until.clear()


@lru_cache(maxsize=8)
def _client(address: str) -> redis.Redis:
    return redis.Redis.from_url(
        address,
        socket_timeout=TIMEOUT_SECONDS,
        socket_connect_timeout=TIMEOUT_SECONDS,
        retry=None,
    )


class Script:
    """A Lua script that runs in Redis as one step; sent once, then named by its digest."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._digest = ""

    def __call__(self, client: redis.Redis, keys: list[str], arguments: list[Any]) -> Any:
        if not self._digest:
            self._digest = client.script_load(self._source)
        try:
            return client.evalsha(self._digest, len(keys), *keys, *arguments)
        except redis.exceptions.NoScriptError:
            return client.eval(self._source, len(keys), *keys, *arguments)
