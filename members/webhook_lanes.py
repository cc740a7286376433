"""Who answers slowly, or not at all, never has more than half of a process's threads.

One subscriber has two requests under way at most; a few that are slow would have all threads
between them, and everybody else would wait. What a process remembers of them is its own: another
one learns it by itself, and nothing is written for it.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from django.conf import settings

SLOW_SECONDS = 2.0

_lock = threading.Lock()
_slow: set[UUID] = set()
_under_way = 0


@contextmanager
def place_for(endpoint_id: UUID) -> Iterator[bool]:
    """Whether a request to this endpoint may begin now; the place is its own until the end."""
    global _under_way
    with _lock:
        needs_one = endpoint_id in _slow
        is_free = not needs_one or _under_way < max(1, settings.WEBHOOK_THREADS // 2)
        _under_way += needs_one and is_free
    try:
        yield is_free
    finally:
        with _lock:
            _under_way -= needs_one and is_free


def took(endpoint_id: UUID, seconds: float) -> None:
    """How long its last request took, answered or not."""
    with _lock:
        if seconds >= SLOW_SECONDS:
            _slow.add(endpoint_id)
        else:
            _slow.discard(endpoint_id)
