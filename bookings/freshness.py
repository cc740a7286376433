"""What is remembered of a resource's occupancies is forgotten when they change.

Each resource has a version in Redis, counted up after the commit of whatever writes its
occupancies (the effects of bookings, holds and changes) or its blocks (any write by the ORM). What
is remembered names the version under which it was read. Raw SQL, or a Redis that is gone at that
moment, is met by the short age that anything remembered has. Rules, hours and prices are read anew
each time.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models.signals import post_delete, post_save

from bookings.models import Block, Occupancy
from config.kernel.redis import ask

_gathering: ContextVar[set[UUID] | None] = ContextVar("gathering", default=None)


def version_key(resource_id: UUID | str) -> str:
    """Where a resource's version stands."""
    return f"taken:{resource_id}:version"


def changed(resource_ids: Iterable[UUID]) -> None:
    """After the commit, forget what is remembered of these resources. Never raises."""
    ids = set(resource_ids)
    transaction.on_commit(lambda: _count_up(ids), robust=True)


def booking_changed(*booking_ids: UUID) -> None:
    """The same for whatever bookings have or had; looked up after the commit, under no lock."""
    transaction.on_commit(lambda: _count_up(_resources_of(booking_ids)), robust=True)


@contextmanager
def gathered() -> Iterator[set[UUID]]:
    """Within, what commits is not sent but gathered, by whoever sends it along with more."""
    ids: set[UUID] = set()
    token = _gathering.set(ids)
    try:
        yield ids
    finally:
        _gathering.reset(token)


def watch_blocks() -> None:
    """Whoever saves or deletes a block: admin, shell, importers."""
    for signal in (post_save, post_delete):
        signal.connect(_block_written, sender=Block, dispatch_uid="bookings.freshness")


def _block_written(instance: Block, **_: Any) -> None:
    changed([instance.resource_id])


def _resources_of(booking_ids: Iterable[UUID]) -> set[UUID]:
    mine = Occupancy.objects.filter(booking_id__in=list(booking_ids)).distinct()
    return set(mine.values_list("resource_id", flat=True))


def _count_up(resource_ids: set[UUID]) -> None:
    gathering = _gathering.get()
    if gathering is not None:
        gathering |= resource_ids
        return

    def send(client: Any) -> None:
        with client.pipeline(transaction=False) as pipe:
            for resource_id in resource_ids:
                pipe.incr(version_key(resource_id))
            pipe.execute()

    if resource_ids:
        ask(send, None)
