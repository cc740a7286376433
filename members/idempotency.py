"""The same key gives the same answer, and one effect (INV-8, design.md §5).

The record is written in the transaction of the effect. A final refusal (4xx but 429) rolls the
effect back and is recorded by itself: the claim's happy path then needs no savepoint, and a
duplicate that slipped in between is found by the unique key and its answer given to both.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import OperationalError, connection, transaction

from config.kernel.database_errors import constraint_of, translated
from config.kernel.errors import DomainError
from config.kernel.ids import new_id
from config.kernel.locks import retried_on_deadlock, sqlstate

_INSERT = """
    INSERT INTO members_idempotencykey
        (id, scope, operation, key, fingerprint, status, body, created_at)
    VALUES (%s, %s, %s, %s, %s, %s, %s, clock_timestamp())
    ON CONFLICT (scope, operation, key) DO NOTHING
"""
_SELECT = """
    SELECT fingerprint, status, body FROM members_idempotencykey
    WHERE scope = %s AND operation = %s AND key = %s
"""
_ANSWER = """
    UPDATE members_idempotencykey SET status = %s, body = %s
    WHERE scope = %s AND operation = %s AND key = %s AND status IS NULL
"""
_LOCK_TIMEOUT = "55P03"


class IdempotencyKeyReused(DomainError):
    code = "idempotency_key_reused"
    status = 422
    detail = "This idempotency key was used for another request."


class IdempotencyKeyInUse(DomainError):
    code = "idempotency_key_in_use"
    status = 409
    detail = "A request with this idempotency key is still being worked on."

    @property
    def is_final(self) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class Answer:
    """What a caller gets: an HTTP status, a JSON-serialisable body, and whether it is a repeat."""

    status: int
    body: Any
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class _Record:
    scope: str
    operation: str
    key: str
    fingerprint: str

    @property
    def name(self) -> list[str]:
        return [self.scope, self.operation, self.key]


def once(
    *,
    scope: str,
    operation: str,
    key: str,
    request: Any,
    work: Callable[[], Answer],
    calls_out: bool = False,
) -> Answer:
    """Do `work` at most once for (scope, operation, key) and answer its repeats alike.

    `scope` is `key:<id>`, `member:<id>` or `visitor:<id>`; `request` is fingerprinted. `work` runs
    inside a transaction with the record. With `calls_out` it runs outside of any, since it calls
    Stripe: it must then be one that a repeat resumes by its own rows.

    Raises IdempotencyKeyReused (422) for the same key with another request, IdempotencyKeyInUse
    (409) when the first is still running past the lock timeout. 429 and 5xx pass through and are
    not stored.
    """
    record = _Record(scope, operation, key, _digest(request))
    attempt = _resumable if calls_out else _in_one_transaction
    try:
        return attempt(record, work)
    except DomainError as error:
        if not error.is_final or isinstance(error, IdempotencyKeyReused):
            raise
        return _store_refusal(record, error)


def refused(*, scope: str, operation: str, key: str, request: Any, error: DomainError) -> Answer:
    """Store a final refusal that was decided before any work began; its repeats are answered alike.

    Where the key has an answer already, that one is given. Raises what `once` raises.
    """
    return _store_refusal(_Record(scope, operation, key, _digest(request)), error)


@retried_on_deadlock
def _in_one_transaction(record: _Record, work: Callable[[], Answer]) -> Answer:
    try:
        with transaction.atomic():
            if not _insert(record):
                return _replay(record)
            answer = work()
            _store(record, answer)
            return answer
    except OperationalError:
        raise
    except Exception as error:
        refusal = _named(error)
        if refusal is None:
            raise
        raise refusal from error


def _named(error: Exception) -> DomainError | None:
    """A constraint's refusal (also one that came at the commit) as the error it means."""
    return translated(error) if constraint_of(error) else None  # type: ignore[arg-type]


def _resumable(record: _Record, work: Callable[[], Answer]) -> Answer:
    if not _insert(record):
        answer = _stored(record)
        if answer is not None:
            return answer
    answer = work()
    if not _store(record, answer):
        return _replay(record)
    return answer


def _store_refusal(record: _Record, error: DomainError) -> Answer:
    answer = Answer(error.status, error.as_problem())
    with transaction.atomic():
        if _insert(record, answer) or _store(record, answer):
            return answer
        return _replay(record)


def _insert(record: _Record, answer: Answer | None = None) -> bool:
    """Whether the key is now ours. Waits for another transaction that is writing it."""
    status, body = (answer.status, _json(answer.body)) if answer else (None, "")
    values = [new_id(), *record.name, record.fingerprint, status, body]
    try:
        with connection.cursor() as cursor:
            cursor.execute(_INSERT, values)
            return cursor.rowcount == 1
    except OperationalError as error:
        if sqlstate(error) == _LOCK_TIMEOUT:
            raise IdempotencyKeyInUse from error
        raise


def _stored(record: _Record) -> Answer | None:
    with connection.cursor() as cursor:
        cursor.execute(_SELECT, record.name)
        found = cursor.fetchone()
    if found is None:
        return None
    fingerprint, status, body = found
    if fingerprint != record.fingerprint:
        raise IdempotencyKeyReused
    if status is None:
        return None
    return Answer(status, json.loads(body), replayed=True)


def _replay(record: _Record) -> Answer:
    answer = _stored(record)
    if answer is None:
        raise IdempotencyKeyInUse
    return answer


def _store(record: _Record, answer: Answer) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(_ANSWER, [answer.status, _json(answer.body), *record.name])
        return cursor.rowcount == 1


def _json(body: Any) -> str:
    return json.dumps(body, cls=DjangoJSONEncoder)


def _digest(request: Any) -> str:
    canonical = json.dumps(request, cls=DjangoJSONEncoder, sort_keys=True)
    return hashlib.sha256(canonical.encode()).hexdigest()
