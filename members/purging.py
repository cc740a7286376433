"""Answers that were kept for repeats are forgotten after their time (api.md: at least 7 days)."""

from django.conf import settings
from django.db import connection, transaction

LEAST_DAYS = 7
BATCH = 5000

_FORGET = """
    DELETE FROM members_idempotencykey WHERE id IN (
        SELECT id FROM members_idempotencykey
        WHERE created_at < clock_timestamp() - make_interval(days => %s)
        ORDER BY created_at LIMIT %s FOR UPDATE SKIP LOCKED)
"""


def idempotency_keys() -> int:
    """Delete what is older than `IDEMPOTENCY_KEYS_KEPT_DAYS`, in batches; returns how many."""
    days = max(LEAST_DAYS, settings.IDEMPOTENCY_KEYS_KEPT_DAYS)
    forgotten, last = 0, BATCH
    while last == BATCH:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(_FORGET, [days, BATCH])
            last = cursor.rowcount
        forgotten += last
    return forgotten
