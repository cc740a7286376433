"""Answers kept for repeats (api.md: at least 7 days), and what subscribers were told, are forgotten
after their time."""

from django.conf import settings
from django.db import connection, transaction

LEAST_DAYS = 7
LEAST_DAYS_OF_WEBHOOKS = 4  # longer than they are retried
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


# What was written in the moment in which its endpoint was disabled or deleted.
_STRAYS = """
    UPDATE members_webhookdelivery d
    SET state = 'stopped', version = d.version + 1, ended_at = clock_timestamp()
    FROM members_webhookendpoint e
    WHERE e.id = d.endpoint_id AND e.state <> 'enabled' AND d.state = 'pending'
"""
_OLD_MESSAGES = """
    SELECT m.sequence FROM members_webhookmessage m
    WHERE m.created_at < clock_timestamp() - make_interval(days => %s)
      AND NOT EXISTS (SELECT 1 FROM members_webhookdelivery d
                      WHERE d.message_id = m.sequence AND d.state = 'pending')
    ORDER BY m.created_at LIMIT %s FOR UPDATE SKIP LOCKED
"""
_OF_MESSAGES = (
    """DELETE FROM members_webhookattempt WHERE delivery_id IN
       (SELECT id FROM members_webhookdelivery WHERE message_id = ANY(%s))""",
    "DELETE FROM members_webhookdelivery WHERE message_id = ANY(%s)",
    "DELETE FROM members_webhookmessage WHERE sequence = ANY(%s)",
)
# An endpoint that was deleted goes when nothing is left that it was told; not at once, since a
# booking that saw it enabled may still be on its way to the commit, where its key is checked.
_DELETED_ENDPOINTS = """
    DELETE FROM members_webhookendpoint e
    WHERE e.state = 'deleted' AND e.state_since < clock_timestamp() - interval '1 hour'
      AND NOT EXISTS (SELECT 1 FROM members_webhookdelivery d WHERE d.endpoint_id = e.id)
      AND NOT EXISTS (SELECT 1 FROM members_webhookmessage m WHERE m.only_for_id = e.id)
"""


def webhook_messages() -> int:
    """Delete messages older than `WEBHOOKS_KEPT_DAYS`, with deliveries and attempts; how many.

    What is still to be delivered stays, however old.
    """
    days = max(LEAST_DAYS_OF_WEBHOOKS, settings.WEBHOOKS_KEPT_DAYS)
    with connection.cursor() as cursor:
        cursor.execute(_STRAYS)
    forgotten, last = 0, BATCH
    while last == BATCH:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(_OLD_MESSAGES, [days, BATCH])
            found = [sequence for (sequence,) in cursor.fetchall()]
            for statement in _OF_MESSAGES if found else ():
                cursor.execute(statement, [found])
            last = len(found)
        forgotten += last
    with connection.cursor() as cursor:
        cursor.execute(_DELETED_ENDPOINTS)
    return forgotten
